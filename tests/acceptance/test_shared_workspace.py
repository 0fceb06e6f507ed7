"""Airflow on a workspace on S3: a pipeline runs, is reused there and elsewhere, and leaves nothing on the worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.example import Example
from acceptance.running_airflow import RunningAirflow, running
from fakes.project import Project
from fakes.remote_stores import s3_server
from refrain import PipelineData, Workspace
from refrain.pipelines.run import PipelineRun
from refrain.tracking.record import RunStatus

WRITE = """
    import sys
    print("writing")
    open(sys.argv[1], "w").write("data")
"""
READ = """
    import sys
    open(sys.argv[2], "w").write(open(sys.argv[1]).read() * 2)
"""
FAIL = "raise SystemExit(3)"
CHAIN = """
raw, end = PipelineData("raw"), PipelineData("end")
first = step("write", raw, outputs=[raw])
dag = pipeline_dag(Pipeline(Workspace(), [first, step("read", raw, end, inputs=[raw], outputs=[end])], name="chain"))
"""
FAILING = """
dag = pipeline_dag(Pipeline(Workspace(), [step("fail")], name="failing"))
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_LAKE", server.connection())
        patch.setenv("REFRAIN_CACHE", str(tmp_path_factory.mktemp("machine-b")))
        yield Workspace(f"s3://{server.make_bucket()}/team?conn_id=lake")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worker")


@pytest.fixture(scope="module")
def airflow_on_s3(
    workspace: Workspace, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningAirflow]:
    environment = {
        "REFRAIN_WORKSPACE": workspace.state.address.url,
        "REFRAIN_WORKSPACE_CONN_ID": "lake",
        "AIRFLOW_CONN_LAKE": os.environ["AIRFLOW_CONN_LAKE"],
        "REFRAIN_CACHE": str(cache),
    }
    yield from running(tmp_path_factory.mktemp("airflow-on-s3"), environment=environment)


@pytest.fixture(scope="module")
def chain(airflow_on_s3: RunningAirflow) -> Example:
    return Example.add(airflow_on_s3, "chain", CHAIN, {"write": WRITE, "read": READ})


def _finished(chain: Example, workspace: Workspace) -> PipelineRun:
    run_id = chain.trigger()
    assert chain.wait(run_id) == "success"
    return PipelineRun.get(workspace, chain.root_id(run_id))


def test_a_pipeline_runs_and_is_reused_by_the_next_run_and_by_another_machine(
    chain: Example, workspace: Workspace, cache: Path, tmp_path: Path
) -> None:
    first = _finished(chain, workspace)
    assert first.status == RunStatus.COMPLETED.value
    (step,) = first.find_step_run("write")
    assert step.get_stdout_log() == "writing\n"
    second = _finished(chain, workspace)
    assert [made.is_reused for made in second.get_steps()] == [True, True]
    left = [path for part in ("runs", "staging") for path in cache.glob(f"workspaces/*/{part}/**/*") if path.is_file()]
    assert left == []
    here = Project(tmp_path, workspace.root)
    raw = PipelineData("raw")
    (tmp_path / "steps").symlink_to(chain.steps)
    ran = here.run(here.step("write", WRITE, [raw]))
    assert ran.reused() == ["write"]


def test_a_failed_step_fails_its_run_and_its_log_is_in_the_workspace(
    airflow_on_s3: RunningAirflow, workspace: Workspace
) -> None:
    failing = Example.add(airflow_on_s3, "failing", FAILING, {"fail": FAIL})
    run_id = failing.trigger()
    assert failing.wait(run_id) == "failed"
    run = PipelineRun.get(workspace, failing.root_id(run_id))
    (step,) = run.find_step_run("fail")
    assert "exited with code 3" in step.record.error
    assert f"{workspace.state.address.url}/runs/" in step.record.error
