"""Several processes of one step: each knows its place, each has a log, and one that fails ends all."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fakes.project import Project, Ran
from refrain import MpiConfiguration, PipelineData, PipelineParameter, PyTorchConfiguration, RunConfiguration

TELLS = """
    import os, sys
    rank = os.environ.get("RANK") or os.environ["OMPI_COMM_WORLD_RANK"]
    size = os.environ.get("WORLD_SIZE") or os.environ["OMPI_COMM_WORLD_SIZE"]
    open(os.path.join(sys.argv[1], rank), "w").write(size)
    print("I am", rank, os.environ.get("API_TOKEN", ""))
"""
FAILS = """
    import os, signal, sys, time
    if os.environ["RANK"] == "1":
        print("I give up")
        os.kill(os.getpid(), signal.SIGSEGV) if sys.argv[1:] else sys.exit(3)
    time.sleep(600)
"""


def _config(job: object) -> RunConfiguration:
    config = RunConfiguration()
    config.distribute(job)
    return config


def _log(ran: Ran, key: str, name: str) -> str:
    return Path(ran.runs.folder(ran.step(key).run_id), "logs", name).read_text()


def test_every_rank_has_a_place_and_a_log(project: Project) -> None:
    config = _config(PyTorchConfiguration(process_count=3))
    config.environment_variables["API_TOKEN"] = "hunter2"
    out = PipelineData("out", is_directory=True)
    ran = project.run(project.step("tell", TELLS, [out], runconfig=config))
    assert {path.name: path.read_text() for path in ran.path("tell", "out").iterdir()} == {"0": "3", "1": "3", "2": "3"}
    assert [_log(ran, "tell", f"rank_{number}.txt") for number in range(3)] == [f"I am {n} ***\n" for n in range(3)]
    assert sorted(_log(ran, "tell", "std_log.txt").splitlines()) == [f"[rank {n}] I am {n} ***" for n in range(3)]


@pytest.mark.parametrize(
    ("arguments", "code", "how"),
    [([], 3, "exited with code 3"), (["kill"], 139, "was ended by SIGSEGV")],
)
def test_a_rank_that_fails_ends_the_others(project: Project, arguments: list[str], code: int, how: str) -> None:
    begun = time.monotonic()
    step = project.step("fail", FAILS, arguments, runconfig=_config(PyTorchConfiguration(process_count=3)))
    ran = project.run(step)
    assert f"exited with code {code}." in ran.error("fail")
    assert f"launch: rank 1 failed: it {how}; the others were stopped" in ran.error("fail")
    assert _log(ran, "fail", "rank_1.txt") == "I give up\n"
    assert time.monotonic() - begun < 300  # and not the ten minutes that the others would have slept


def test_the_number_of_processes_counts_and_may_be_a_parameter(project: Project) -> None:
    def step():
        return project.step(
            "tell",
            TELLS,
            [PipelineData("out", is_directory=True)],
            runconfig=_config(MpiConfiguration()),
            runconfig_pipeline_params={"MpiProcessCountPerNode": PipelineParameter("count", 1)},
        )

    project.run(step(), parameters={"count": 1})
    ran = project.run(step(), parameters={"count": 2})
    assert not ran.reused()
    assert {path.name for path in ran.path("tell", "out").iterdir()} == {"0", "1"}
    assert project.run(step(), parameters={"count": 2}).reused() == ["tell"]


def test_several_nodes_are_refused_when_a_parameter_asks_for_them(project: Project) -> None:
    step = project.step(
        "tell",
        TELLS,
        ["."],
        runconfig=_config(MpiConfiguration()),
        runconfig_pipeline_params={"NodeCount": PipelineParameter("nodes", 1)},
    )
    ran = project.run(step, parameters={"nodes": 2})
    assert "launch: 2 nodes are asked for, but a step runs on one machine" in ran.error("tell")
