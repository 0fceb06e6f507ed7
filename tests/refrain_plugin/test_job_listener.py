"""The job listener: what becomes of a job on Databricks when somebody marks the task that waits for it."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from fakes.databricks import DatabricksProject, databricks, server
from fakes.waiting import eventually
from refrain.errors import SuspendedError
from refrain.execution.engine import Engine
from refrain.execution.request import RunContext, StepRequest
from refrain.pipelines.pipeline import Pipeline
from refrain.tracking.record import RunRecord, RunStatus, RunStore
from refrain.tracking.run_id import root_id_for
from refrain_plugin import RefrainPlugin, job_listener

__all__ = ["databricks", "server"]
pytestmark = pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")  # by the provider


def _suspended(databricks: DatabricksProject, run_id: str = "manual__1", **request: Any) -> str:
    """Let a step of a DAG run wait for its job, and return the step run's id."""
    root_id = root_id_for("training", run_id)
    runs = RunStore(databricks.state)
    runs.put(RunRecord(root_id, "training", "training", "e", status=RunStatus.RUNNING))
    (step,) = Pipeline(databricks.workspace, [databricks.script("import time\ntime.sleep(600)\n")]).definition.steps
    origin = {"kind": "airflow", "dag_id": "training", "run_id": run_id, "task_id": "work", "map_index": -1}
    run = RunContext(root_id, "p", "e", "w", databricks.workspace.root, origin=origin)
    with pytest.raises(SuspendedError) as caught:
        Engine(databricks.state).run(StepRequest(step, run, may_suspend=True, **request))
    return caught.value.run_id


@pytest.fixture(autouse=True)
def _workspace(databricks: DatabricksProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFRAIN_WORKSPACE", databricks.workspace.root)


@pytest.mark.parametrize("is_forced", [False, True])
@pytest.mark.parametrize("mark", ["success", "failed", "skipped"])
def test_the_job_of_a_task_that_somebody_marked_ends(databricks: DatabricksProject, mark: str, is_forced: bool) -> None:
    waiting = _suspended(databricks, is_forced=is_forced)
    (run,) = databricks.server.runs.all()
    task = SimpleNamespace(dag_id="training", run_id="manual__1", task_id="work", map_index=-1)
    why = {"error": "TaskInstance's state was manually set to `failed`."} if mark == "failed" else {}
    getattr(job_listener, f"on_task_instance_{mark}")(previous_state=None, task_instance=task, **why)
    assert eventually(lambda: run.end is not None)
    assert run.end is not None
    assert run.end.result == "CANCELED"
    assert eventually(lambda: RunStore(databricks.state).get(waiting).status is RunStatus.CANCELED)


def test_a_job_that_another_run_waits_for_goes_on(databricks: DatabricksProject) -> None:
    _suspended(databricks)
    _suspended(databricks, "manual__2")
    (run,) = databricks.server.runs.all()
    job_listener.end_job("training", "manual__1", "work", -1)
    assert run.end is None
    job_listener.end_job("training", "manual__2", "another", -1)
    assert run.end is None


def test_what_a_worker_says_of_its_task_ends_nothing(databricks: DatabricksProject) -> None:
    before = threading.active_count()
    job_listener.on_task_instance_success(previous_state="running", task_instance=SimpleNamespace())
    assert threading.active_count() == before


def test_a_job_that_cannot_be_ended_fails_nobody(
    databricks: DatabricksProject, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _suspended(databricks)
    monkeypatch.delenv("AIRFLOW_CONN_DATABRICKS_DEFAULT")
    job_listener.end_job("training", "manual__1", "work", -1)
    assert "The job of task work of run manual__1 could not be canceled." in caplog.text


def test_the_plugin_registers_it() -> None:
    assert job_listener in RefrainPlugin.listeners
