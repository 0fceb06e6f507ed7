"""An engine that is killed at whatever moment: the next run goes on with its job, and there is never a second."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fakes.databricks import DatabricksProject
from fakes.waiting import eventually
from refrain import PipelineData
from refrain.errors import StepFailedError
from refrain.execution.submissions import Submissions
from refrain.testing.databricks.faults import Fault
from refrain.tracking.record import RunStatus, RunStore

CODE = """
    import pathlib, sys, time
    given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    gate = pathlib.Path(given["--gate"])
    while not gate.exists():
        time.sleep(0.05)
    open(given["-out"].removeprefix("file:"), "w").write("made once")
"""
CHILD = """
import os, signal, sys
from pathlib import Path
from fakes.databricks import DatabricksProject
from fakes.project import Heard, Project
from test_killed_engines import step

class Killer(Heard):
    def entered(self, key, phase):
        if phase.name == os.environ["STRIKES_AT"]:
            os.kill(os.getpid(), signal.SIGKILL)

project = Project(Path(sys.argv[1]))
project.source = DatabricksProject.source.__get__(project)
project.run(step(project, Path(sys.argv[1])), listener=Killer())
"""


def step(project, folder: Path):
    return DatabricksProject.script(project, CODE, python_script_params=["--gate", str(folder / "gate")])


def _start(databricks: DatabricksProject, strikes_at: str = "") -> subprocess.Popen[bytes]:
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parents[1])])
    environment = {**os.environ, "PYTHONPATH": path, "STRIKES_AT": strikes_at}
    return subprocess.Popen([sys.executable, "-c", CHILD, str(databricks.folder)], env=environment)


def _killed_at(databricks: DatabricksProject, path: str, status: int | None) -> None:
    """Run the step in another process, which is killed while it waits for the answer to a request."""
    is_started = threading.Event()
    child: list[subprocess.Popen[bytes]] = []

    def kill() -> None:
        is_started.wait(60)
        child[0].send_signal(signal.SIGKILL)
        child[0].wait(60)

    databricks.server.faults.add(Fault(path, status, "TEMPORARILY_UNAVAILABLE", "away", act=kill))
    child.append(_start(databricks))
    is_started.set()
    assert child[0].wait(90) == -signal.SIGKILL


def _goes_on(databricks: DatabricksProject) -> None:
    (databricks.folder / "gate").touch()
    ran = databricks.run(step(databricks, databricks.folder))
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.text("work", "out") == "made once"
    assert databricks.submissions() == 1
    assert databricks.jobs() == []
    assert databricks.run(step(databricks, databricks.folder)).reused() == ["work"]


def test_a_submission_that_never_arrived_is_sent_again(databricks: DatabricksProject) -> None:
    _killed_at(databricks, "runs/submit", 503)
    assert databricks.submissions() == 0
    _goes_on(databricks)


def test_a_submission_whose_answer_was_lost_is_found_again(databricks: DatabricksProject) -> None:
    _killed_at(databricks, "runs/submit", None)
    assert eventually(lambda: databricks.submissions() == 1)  # the server goes on with what has arrived
    _goes_on(databricks)


def test_a_run_that_goes_on_is_gone_on_with(databricks: DatabricksProject) -> None:
    _killed_at(databricks, "runs/get", None)
    assert len(databricks.server.runs.going_on()) == 1
    _goes_on(databricks)


def test_a_run_that_ended_meanwhile_is_taken_as_it_is(databricks: DatabricksProject) -> None:
    (databricks.folder / "gate").touch()
    _killed_at(databricks, "runs/get-output", None)
    assert databricks.server.runs.going_on() == []
    _goes_on(databricks)


@pytest.mark.parametrize("moment", ["COMMIT", "PUBLISH"])
def test_a_kill_around_the_commit_costs_no_second_run(databricks: DatabricksProject, moment: str) -> None:
    (databricks.folder / "gate").touch()
    assert _start(databricks, moment).wait(90) == -signal.SIGKILL
    ran = databricks.run(step(databricks, databricks.folder))
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.text("work", "out") == "made once"
    assert databricks.submissions() == 1


def test_a_note_that_outlived_the_commit_is_not_taken_for_a_job_to_go_on_with(databricks: DatabricksProject) -> None:
    (databricks.folder / "gate").touch()
    assert _start(databricks, "PUBLISH").wait(90) == -signal.SIGKILL
    assert len(databricks.jobs()) == 1
    ran = databricks.run(step(databricks, databricks.folder))
    ran.path("work", "out").write_text("somebody else's")
    again = databricks.run(step(databricks, databricks.folder))
    assert again.text("work", "out") == "made once"
    assert databricks.submissions() == 2
    assert databricks.jobs() == []


def test_the_killed_run_s_record_names_the_data_that_its_job_left(databricks: DatabricksProject) -> None:
    _killed_at(databricks, "runs/get", None)
    _goes_on(databricks)
    runs = RunStore(databricks.state)
    steps = [record for root in runs.roots() for record in runs.steps(root.run_id)]
    killed = next(record for record in steps if record.status is RunStatus.FAILED)
    assert f"/azureml/{killed.run_id}/out" in killed.outputs["out"]["uri"]
    assert killed.error == "The process that ran the step was killed."


def test_a_job_that_failed_while_nobody_looked_is_submitted_anew(databricks: DatabricksProject) -> None:
    _killed_at(databricks, "runs/get", None)
    (run,) = databricks.server.runs.all()
    databricks.server.runs.cancel({"run_id": run.run_id})
    assert eventually(lambda: run.end is not None)
    (databricks.folder / "gate").touch()
    assert databricks.run(step(databricks, databricks.folder)).status == "Completed"
    assert databricks.submissions() == 2


def test_a_job_that_databricks_has_forgotten_is_submitted_anew(databricks: DatabricksProject) -> None:
    (databricks.folder / "gate").touch()
    _killed_at(databricks, "runs/get-output", None)
    (run,) = databricks.server.runs.all()
    databricks.server.runs.delete({"run_id": run.run_id})
    assert databricks.run(step(databricks, databricks.folder)).status == "Completed"


def test_other_code_does_not_go_on_with_the_job_of_the_old(databricks: DatabricksProject) -> None:
    _killed_at(databricks, "runs/get", None)
    other = databricks.script("raise SystemExit('other code')", outputs=[PipelineData("out")])
    ran = databricks.run(other)
    assert isinstance(ran.outcome.errors["work"], StepFailedError)
    assert databricks.submissions() == 2


def test_an_expired_token_leaves_the_run_to_be_gone_on_with(databricks: DatabricksProject) -> None:
    token = databricks.server.token

    def expire() -> None:
        databricks.server.token = "another"

    databricks.server.faults.add(Fault("runs/get", 403, "403", "Invalid access token.", act=expire))
    ran = databricks.run(step(databricks, databricks.folder))
    assert "cannot be followed, and may still be going on." in ran.error("work")
    assert "Run the step again then: it goes on with that run." in ran.error("work")
    databricks.server.token = token
    _goes_on(databricks)


def test_a_note_is_created_once_by_whoever_comes_first(databricks: DatabricksProject) -> None:
    notes = Submissions(databricks.state.objects)
    first = notes.begin("ab" * 32, "run.step.1", "one")
    assert notes.begin("ab" * 32, "run.step.2", "two") == first
    assert notes.submitted("ab" * 32, first, 7).job_id == 7
    assert notes.find("ab" * 32) == notes.submitted("ab" * 32, first, 7)
    notes.settle("ab" * 32)
    assert notes.find("ab" * 32) is None
