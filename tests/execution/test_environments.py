"""Steps that run in an environment of their own: decided, built, recorded."""

from __future__ import annotations

import os
import re
import threading
import venv
from pathlib import Path

import pytest

from fakes.processes import programs_that_name
from fakes.project import COPIES, WRITES, Project
from fakes.waiting import eventually
from fakes.wheels import make_wheel
from refrain import CondaDependencies, PipelineData, RunConfiguration
from refrain.environments.environments import cache_of
from refrain.execution.packages import PACKAGES, packages_of
from refrain.execution.runner import Outcome
from refrain.reuse.decision import Verdict
from refrain.tracking.record import RunStatus, RunStore

SAYS = """
    import sys, tool
    from refrain import Run
    Run.get_context().log("version", tool.VERSION)
    open(sys.argv[1], "w").write(tool.VERSION)
"""


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    make_wheel(tmp_path / "wheels", "tool", "1.0")
    make_wheel(tmp_path / "wheels", "tool", "2.0")
    return tmp_path / "wheels"


def _config(wheels: Path, *packages: str) -> RunConfiguration:
    config = RunConfiguration(conda_dependencies=CondaDependencies.create(pip_packages=packages))
    config.environment.python.conda_dependencies.set_pip_requirements([*packages, "--no-index", f"-f {wheels}"])
    return config


def _step(project: Project, wheels: Path, *packages: str):
    return project.step("say", SAYS, [PipelineData("out")], runconfig=_config(wheels, *packages))


def test_a_step_runs_in_its_environment_and_its_packages_are_recorded(project: Project, wheels: Path) -> None:
    ran = project.run(_step(project, wheels, "tool==1.0"))
    assert ran.text("say", "out") == "1.0"
    record = ran.step("say")
    (package,) = packages_of(record.properties, project.state)
    assert package.startswith("tool==1.0#")
    assert any("building it with CPython" in note for note in ran.heard.notes)


def test_the_packages_decide_and_nothing_is_built_to_find_out(project: Project, wheels: Path, tmp_path: Path) -> None:
    project.run(_step(project, wheels, "tool==1.0"))
    cache = cache_of(tmp_path / "cache")
    (built,) = cache.built()
    (tmp_path / "cache").rename(tmp_path / "another machine")
    again = project.run(_step(project, wheels, "tool<2"))
    assert again.verdict("say") is Verdict.REUSED
    assert cache.built() == []
    other = project.run(_step(project, wheels, "tool"))
    sentence = other.heard.decisions["say"].sentence()
    assert re.fullmatch(r"runs: changed: packages: tool 1\.0#\w+ → 2\.0#\w+", sentence)
    assert other.text("say", "out") == "2.0"
    assert [package.partition("#")[0] for package in built.packages] == ["tool==1.0"]


def test_a_step_without_packages_keeps_its_interpreter(project: Project, wheels: Path, tmp_path: Path) -> None:
    ran = project.run(project.step("write"))
    assert ran.status == "Completed" or "write" in ran.outcome.errors
    assert cache_of(tmp_path / "cache").built() == []


def test_packages_that_do_not_exist_fail_the_step_before_anything_starts(project: Project, wheels: Path) -> None:
    ran = project.run(_step(project, wheels, "no-such-tool"))
    assert "These requirements cannot be met: no-such-tool" in ran.error("say")
    assert "no-such-tool was not found" in ran.step("say").error
    assert project.leftovers() == []


def test_a_run_whose_package_list_was_cleaned_away_still_shows(project: Project, wheels: Path) -> None:
    record = project.run(_step(project, wheels, "tool==1.0")).step("say")
    digest = record.properties[PACKAGES]
    project.state.objects.delete(f"blobs/{digest[:2]}/{digest}")
    assert packages_of(record.properties, project.state) is None


def test_a_run_that_is_canceled_while_its_packages_are_resolved_ends(project: Project, wheels: Path) -> None:
    """The wheel is a pipe, so that uv would wait for ever; both steps want an answer at once."""
    os.unlink(wheels / "tool-2.0-py3-none-any.whl")
    os.mkfifo(wheels / "tool-2.0-py3-none-any.whl")
    steps = [
        project.step(name, SAYS, [PipelineData("out")], runconfig=_config(wheels, "tool")) for name in ("one", "two")
    ]
    runner, run_id = project.runner(*steps)
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(runner.run()))
    thread.start()
    assert eventually(lambda: programs_that_name(str(wheels)))

    runner._engine.cancel()
    thread.join(60)

    assert outcomes
    assert {record.status for record in RunStore(project.state).steps(run_id)} <= {RunStatus.CANCELED}
    assert programs_that_name(str(wheels)) == []
    assert project.leftovers() == []


INSTALLS = """
    import os, site, sys
    os.mkdir(os.path.join(site.getsitepackages()[0], "late-2.0.dist-info"))
    open(sys.argv[1], "w").write("data")
"""


def test_packages_that_are_installed_during_a_run_count_for_what_is_made_with_them(
    project: Project, tmp_path: Path
) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    config = RunConfiguration()
    config.environment.python.interpreter_path = str(tmp_path / "venv" / "bin" / "python")
    data, out = PipelineData("data"), PipelineData("out")
    copy = project.step("copy", COPIES, [data, out], inputs=[data], outputs=[out], runconfig=config)

    ran = project.run(project.step("first", INSTALLS, [data], runconfig=config), copy)
    assert ran.status == "Completed", ran.outcome.errors
    assert "changed while the step ran: its result is not kept for reuse" in ran.heard.notes[0]
    (installed,) = (tmp_path / "venv").rglob("late-2.0.dist-info")
    installed.rmdir()

    again = project.run(project.step("first", WRITES, [data], runconfig=config), copy)
    assert again.text("first", "data") == "data"
    assert again.reused() == []
