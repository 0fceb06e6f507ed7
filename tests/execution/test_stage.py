"""What killed and canceled runs leave behind: nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fakes.project import WRITES, Heard, Project
from refrain import (
    PipelineData,
)
from refrain.compute.local import LocalCompute
from refrain.compute.processes import marked
from refrain.errors import (
    StepCanceledError,
)
from refrain.execution.listener import Phase
from refrain.tracking.record import RunStatus


def _impatient() -> LocalCompute:
    return LocalCompute(grace_seconds=0.2)


def _roots(project: Project) -> list[str]:
    return project.state.objects.names("runs")


def _steps(project: Project, root: str) -> list[str]:
    return [f"{root}.{name}" for name in project.state.objects.names(f"runs/{root}/steps")]


def test_a_folder_that_a_script_made_unwritable_is_swept_all_the_same(project: Project) -> None:
    code = "import os; os.makedirs('a/b'); open('a/b/c', 'w'); os.chmod('a/b', 0o500); os.chmod('a', 0o500)"
    project.run(project.step("locked", code))
    assert project.leftovers() == []


def test_canceling_ends_every_process_and_records_it(project: Project) -> None:
    stubborn = """
        import signal, subprocess, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        print("ready", flush=True)
        time.sleep(600)
    """

    class CancelWhenReady(Heard):
        def line(self, key: str, line: str) -> None:
            super().line(key, line)
            if len(self.lines) == 2:
                threading.Thread(target=runner._engine.cancel).start()

    listener = CancelWhenReady()
    runner, run_id = project.runner(
        project.step("one", stubborn, [PipelineData("a")]),
        project.step("two", stubborn, [PipelineData("b")]),
        project.step("three", WRITES, [PipelineData("c")]),
        listener=listener,
    )
    runner._engine._compute = _impatient()
    outcome = runner.run()
    assert all(isinstance(error, StepCanceledError) for error in outcome.errors.values())
    for key in ("one", "two"):
        assert runner._engine.runs.get(f"{run_id}.{key}.1").status is RunStatus.CANCELED
        assert marked(f"{run_id}.{key}.1") == []
    assert project.leftovers() == []
    assert project.outputs() == []


def test_a_canceled_engine_starts_nothing(project: Project) -> None:
    runner, run_id = project.runner(project.step("late", WRITES, [PipelineData("out")]))
    runner._engine.cancel()
    outcome = runner.run()
    assert str(outcome.errors["late"]) == "Step 'late' was canceled before it started."
    assert runner._engine.runs.steps(run_id) == []


@pytest.mark.parametrize("phase", list(Phase), ids=lambda phase: phase.name.lower())
def test_a_runner_killed_in_any_phase_leaves_nothing_that_could_be_wrong(project: Project, phase: Phase) -> None:
    code = f"""
import os, signal
from pathlib import Path
from fakes.project import Heard, Project, WRITES
from refrain import PipelineData
from refrain.execution.listener import Phase

class Dies(Heard):
    def entered(self, key, phase):
        if phase is Phase.{phase.name}:
            os.kill(os.getpid(), signal.SIGKILL)

project = Project(Path({str(project.folder)!r}))
project.run(project.step("write", WRITES, [PipelineData("out")]), listener=Dies())
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    died = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert died.returncode == -9
    ran = project.run(project.step("write", WRITES, [PipelineData("out")]))
    assert ran.status == "Completed"
    assert ran.text("write", "out") == "data"
    assert ran.reused() == (["write"] if phase is Phase.PUBLISH else [])
    assert project.leftovers() == []
    assert len(project.reuse_records()) == 1


def test_a_runner_killed_while_the_script_runs_leaves_no_process(project: Project) -> None:
    code = f"""
import os, signal
from pathlib import Path
from fakes.project import Heard, Project
from refrain import PipelineData

class Dies(Heard):
    def line(self, key, line):
        os.kill(os.getpid(), signal.SIGKILL)

project = Project(Path({str(project.folder)!r}))
project.run(project.step("slow", "import time; print(1, flush=True); time.sleep(600)", [PipelineData("out")]),
            listener=Dies())
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    (record,) = [step for root in _roots(project) for step in _steps(project, root)]
    deadline = time.monotonic() + 20
    while marked(record) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert marked(record) == []
    ran = project.run(project.step("slow", WRITES, [PipelineData("out")]))
    assert ran.status == "Completed"
    assert ran.runs.get(record).status is RunStatus.FAILED
    assert ran.runs.get(record).error == "The process that ran the step was killed."
    assert project.leftovers() == []
