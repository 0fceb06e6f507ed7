"""What killed and canceled runs leave behind: nothing."""

from __future__ import annotations

import json
import os
import socket
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
from refrain.compute.processes import machine, marked
from refrain.errors import (
    StepCanceledError,
)
from refrain.execution.cleaning import Cleaning, WasteKind
from refrain.execution.listener import Phase
from refrain.execution.stage import sweep
from refrain.storage.retention import Retention
from refrain.tracking.record import RunStatus
from refrain.tracking.run_id import run_folder


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
    deadline = time.monotonic() + 60
    while marked(record) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert marked(record) == []
    ran = project.run(project.step("slow", WRITES, [PipelineData("out")]))
    assert ran.status == "Completed"
    assert ran.runs.get(record).status is RunStatus.FAILED
    assert ran.runs.get(record).error == "The process that ran the step was killed."
    assert project.leftovers() == []


def _stage_of(project: Project, machine: str, days: float) -> Path:
    """Leave a stage, as a killed engine would, that was signed that many days ago."""
    folder = project.state.root / "staging" / f"{'ab' * 16}.killed.1"
    folder.mkdir(parents=True)
    owner = {"machine": machine, "process": 2**22 + 1, "started": "never", "waiting": []}
    (folder / "owner.json").write_text(json.dumps(owner))
    signed = time.time() - days * 24 * 3600
    os.utime(folder / "owner.json", (signed, signed))
    return folder


def test_a_killed_engines_stage_is_swept_on_its_own_machine(project: Project) -> None:
    folder = _stage_of(project, machine(), 0)
    assert sweep(project.state) == [folder.name]
    assert not folder.exists()


def test_a_stage_of_another_container_with_the_same_name_is_left_to_it(project: Project) -> None:
    """Process ids of its name space say nothing here."""
    folder = _stage_of(project, f"{socket.gethostname()} pid:[7]", 1000)
    assert sweep(project.state) == []
    assert folder.exists()


def test_what_a_machine_that_is_gone_left_goes_with_the_cleaning_a_grace_period_later(project: Project) -> None:
    folder = _stage_of(project, "elsewhere pid:[7]", 6)
    for grace in (7, 0):
        Cleaning(project.state, Retention(grace_days=grace)).clean()
        assert folder.exists()
    signed = time.time() - 8 * 24 * 3600
    os.utime(folder / "owner.json", (signed, signed))
    assert [waste.kind for waste in Cleaning(project.state, Retention()).clean()] == [WasteKind.STAGING]
    assert not folder.exists()


def test_a_run_whose_record_is_damaged_keeps_what_it_may_have_committed(project: Project) -> None:
    folder = _stage_of(project, machine(), 0)
    place = project.state.datastores.get("workspaceblobstore").root / "azureml" / folder.name / "out"
    place.mkdir(parents=True)
    owner = json.loads((folder / "owner.json").read_text())
    (folder / "owner.json").write_text(json.dumps({**owner, "filling": [place.as_uri()]}))
    project.state.objects.put(f"{run_folder(folder.name)}/run.json", b"damaged")
    assert sweep(project.state) == [folder.name]
    assert place.exists()
