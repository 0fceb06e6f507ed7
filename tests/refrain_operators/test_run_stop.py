"""The sign at which the steps of a run stop."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException

from fakes.project import WRITES, Project
from fakes.waiting_task import WaitingTask
from refrain import PipelineData
from refrain.errors import StepCanceledError
from refrain.storage.state import WorkspaceState
from refrain_operators.run_stop import NoStop, RunStop, round_of

ROOT = "a" * 32


class FakeEngine:
    """Says when it is canceled."""

    def __init__(self) -> None:
        self.is_canceled = threading.Event()

    def cancel(self) -> None:
        self.is_canceled.set()


def _stop(folder: Path, task_id: str, round_: str = "0") -> RunStop:
    return RunStop(WorkspaceState(folder), ROOT, round_, task_id)


def test_without_a_sign_a_step_runs(tmp_path: Path) -> None:
    engine = FakeEngine()
    with _stop(tmp_path, "good").obeyed_by(engine):  # type: ignore[arg-type]
        pass
    assert not engine.is_canceled.is_set()


def test_a_step_that_runs_is_canceled_and_not_tried_again(tmp_path: Path) -> None:
    engine = FakeEngine()
    message = r"'good' was stopped, because 'bad' has failed"

    def run() -> None:
        with _stop(tmp_path, "good").obeyed_by(engine):  # type: ignore[arg-type]
            _stop(tmp_path, "bad").raise_sign()
            assert engine.is_canceled.wait(60)
            raise StepCanceledError("canceled")

    with pytest.raises(AirflowFailException, match=message):
        run()


def test_a_step_that_was_canceled_for_another_reason_says_so(tmp_path: Path) -> None:
    with pytest.raises(StepCanceledError), _stop(tmp_path, "good").obeyed_by(FakeEngine()):  # type: ignore[arg-type]
        raise StepCanceledError("canceled")


def test_a_step_is_not_started_after_the_sign(tmp_path: Path) -> None:
    _stop(tmp_path, "bad").raise_sign()
    message = r"'late' was not started, because 'bad' has failed\. Clear both"
    with pytest.raises(AirflowFailException, match=message), _stop(tmp_path, "late").obeyed_by(FakeEngine()):  # type: ignore[arg-type]
        pytest.fail("it was started")


def test_a_step_that_was_deferred_at_the_sign_says_that_it_was_stopped(tmp_path: Path) -> None:
    _stop(tmp_path, "bad").raise_sign()
    message = r"'late' was stopped, because 'bad' has failed"
    obeyed = _stop(tmp_path, "late").obeyed_by(FakeEngine(), has_begun=True)  # type: ignore[arg-type]
    with pytest.raises(AirflowFailException, match=message), obeyed:
        pytest.fail("it went on")


def test_a_sign_that_is_being_written_is_none_yet(tmp_path: Path) -> None:
    _stop(tmp_path, "bad").raise_sign()
    (sign,) = (path for path in tmp_path.rglob("*") if path.is_file() and b"bad" in path.read_bytes())
    sign.write_bytes(sign.read_bytes()[:-5])
    assert _stop(tmp_path, "good").failed_task() is None


def test_a_sign_does_not_count_once_tasks_were_cleared(tmp_path: Path) -> None:
    _stop(tmp_path, "bad", "0").raise_sign()
    assert [_stop(tmp_path, "late", round_).failed_task() for round_ in ("0", "1")] == ["bad", None]


def test_a_sign_does_not_count_for_a_run_that_was_deleted_and_has_its_old_id_again(tmp_path: Path) -> None:
    project = Project(tmp_path)
    task = WaitingTask(project, project.step("work", WRITES, [PipelineData("out")]))
    run, root_id = task.context["dag_run"], task.request.run.root_id
    run.start_date = datetime(2026, 1, 1, tzinfo=timezone.utc)
    RunStop(project.state, root_id, round_of(run), "bad").raise_sign()
    with pytest.raises(AirflowFailException, match="'bad' has failed"):
        task.operator().execute(task.context)
    run.start_date = datetime(2026, 1, 2, tzinfo=timezone.utc)
    assert task.deferral().method_name == "resume", "it got as far as to wait for a result"


def test_a_run_that_goes_on_has_no_sign(tmp_path: Path) -> None:
    stop, engine = NoStop(), FakeEngine()
    stop.raise_sign()
    with stop.obeyed_by(engine):  # type: ignore[arg-type]
        pass
    assert list(tmp_path.iterdir()) == []
    assert not engine.is_canceled.is_set()


# A worker, and its task, which waits to be canceled.
WORKER = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', *sys.argv[1:]]); input()"
TASK = """
import pathlib, sys, threading
from refrain_operators.run_stop import NoStop

class Engine:
    is_canceled = threading.Event()
    def cancel(self):
        self.is_canceled.set()

with NoStop().obeyed_by(Engine()):
    print("running", flush=True)
    if Engine.is_canceled.wait(60):
        pathlib.Path(sys.argv[1]).touch()
"""


def test_a_step_whose_worker_was_killed_is_canceled(tmp_path: Path) -> None:
    canceled = tmp_path / "canceled"
    command = [sys.executable, "-c", WORKER, TASK, str(canceled)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout
        assert worker.stdout.readline() == b"running\n"
        worker.kill()
    deadline = time.monotonic() + 60
    while not canceled.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert canceled.exists()
