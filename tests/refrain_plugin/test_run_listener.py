"""The listener: what becomes of a pipeline run's record when its DAG run begins and ends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from refrain.pipelines.workspace import Workspace
from refrain.tracking.record import RunRecord, RunStatus, RunStore
from refrain.tracking.run_id import root_id_for
from refrain_plugin import RefrainPlugin, run_listener

BY_HAND = "Dag Run's state was manually set to `failed`."


@dataclass(frozen=True)
class FakeDagRun:
    dag_id: str = "training"
    run_id: str = "manual__1"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    monkeypatch.setenv("REFRAIN_WORKSPACE", str(tmp_path))
    runs = RunStore(Workspace().state)
    runs.put(RunRecord(ROOT, "training", "training", "e", status=RunStatus.QUEUED))
    return runs


ROOT = root_id_for("training", "manual__1")


def _step(runs: RunStore, key: str, status: RunStatus, error: str = "") -> str:
    run_id = str(runs.new_step_run(ROOT, key))
    runs.put(RunRecord(run_id, key, "training", "e", key=key, status=status, error=error))
    return run_id


def test_the_record_follows_the_dag_run(runs: RunStore) -> None:
    run_listener.on_dag_run_running(FakeDagRun(), "started")
    assert (runs.get(ROOT).status, runs.get(ROOT).ended) == (RunStatus.RUNNING, None)
    run_listener.on_dag_run_success(FakeDagRun(), "success")
    assert (runs.get(ROOT).status, runs.get(ROOT).ended is None) == (RunStatus.COMPLETED, False)


def test_a_run_whose_tasks_were_cleared_is_running_again(runs: RunStore) -> None:
    run_listener.on_dag_run_failed(FakeDagRun(), "task_failure")
    run_listener.on_dag_run_running(FakeDagRun(), "started")
    record = runs.get(ROOT)
    assert (record.status, record.ended, record.error) == (RunStatus.RUNNING, None, "")


def test_a_failed_run_has_the_error_of_its_failed_step(runs: RunStore) -> None:
    _step(runs, "one", RunStatus.CANCELED, "canceled")
    _step(runs, "two", RunStatus.FAILED, "the reason")
    run_listener.on_dag_run_failed(FakeDagRun(), "task_failure")
    assert (runs.get(ROOT).status, runs.get(ROOT).error) == (RunStatus.FAILED, "the reason")


def test_a_run_that_failed_outside_of_its_steps_says_where_to_look(runs: RunStore) -> None:
    run_listener.on_dag_run_failed(FakeDagRun(), "task_failure")
    assert runs.get(ROOT).error == "A task of the DAG run failed outside of its step. Read the task's log in Airflow."


def test_a_run_that_was_marked_by_hand_was_canceled(runs: RunStore) -> None:
    run_id = _step(runs, "one", RunStatus.RUNNING)
    run_listener.on_dag_run_failed(FakeDagRun(), BY_HAND)
    assert (runs.get(ROOT).status, runs.get(ROOT).error) == (
        RunStatus.CANCELED,
        "The DAG run was marked as failed by hand.",
    )
    assert (runs.get(run_id).status, runs.get(run_id).error) == (RunStatus.CANCELED, "Step 'one' was canceled.")


@pytest.mark.parametrize("end", ["success", "failed"])
def test_a_canceled_run_is_not_what_the_scheduler_made_of_its_marked_tasks(runs: RunStore, end: str) -> None:
    run_listener.on_dag_run_failed(FakeDagRun(), BY_HAND)
    getattr(run_listener, f"on_dag_run_{end}")(FakeDagRun(), "all_tasks_deadlocked")
    assert runs.get(ROOT).status is RunStatus.CANCELED


def test_a_canceled_run_that_is_marked_once_more_or_goes_on_is_no_longer_canceled(runs: RunStore) -> None:
    run_listener.on_dag_run_failed(FakeDagRun(), BY_HAND)
    run_listener.on_dag_run_success(FakeDagRun(), BY_HAND.replace("failed", "success"))
    assert runs.get(ROOT).status is RunStatus.COMPLETED
    run_listener.on_dag_run_failed(FakeDagRun(), BY_HAND)
    run_listener.on_dag_run_running(FakeDagRun(), "started")
    run_listener.on_dag_run_success(FakeDagRun(), "success")
    assert runs.get(ROOT).status is RunStatus.COMPLETED


def test_steps_that_were_killed_are_ended_with_their_run(runs: RunStore) -> None:
    killed, done = _step(runs, "one", RunStatus.PREPARING), _step(runs, "two", RunStatus.COMPLETED)
    run_listener.on_dag_run_success(FakeDagRun(), "success")
    assert (runs.get(killed).status, runs.get(killed).error) == (
        RunStatus.FAILED,
        "The process that ran the step was killed.",
    )
    assert runs.get(done).status is RunStatus.COMPLETED


def test_runs_of_others_and_a_broken_workspace_do_not_disturb_the_scheduler(
    runs: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_listener.on_dag_run_running(FakeDagRun(dag_id="somebody's"), "started")
    assert [record.run_id for record in runs.roots()] == [ROOT]
    (tmp_path / f"runs/{ROOT}/run.json").write_text("damaged")
    run_listener.on_dag_run_success(FakeDagRun(), "success")
    assert f"The record of run {ROOT} could not be updated" in caplog.text


def test_the_plugin_brings_the_listener() -> None:
    assert run_listener in RefrainPlugin.listeners
