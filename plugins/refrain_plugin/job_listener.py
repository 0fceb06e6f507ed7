"""Job listener: when somebody marks a deferred task, or its run, the job that the task waits for on Databricks ends.

A trigger that runs ends its job itself. Of one that no triggerer has taken up yet, or whose triggerer is down, Airflow
tells nobody but the listeners in its API server.
"""

from __future__ import annotations

import logging
import threading
from importlib.util import find_spec
from typing import Any

from airflow.listeners import hookimpl

from refrain.execution.databricks.abandon import close_record, unwanted_job
from refrain.pipelines.workspace import Workspace
from refrain.tracking.record import RunRecord, RunStore
from refrain.tracking.run_id import root_id_for

log = logging.getLogger(__name__)


@hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    """End the job of a task that somebody has marked as successful."""
    _marked(previous_state, task_instance)


@hookimpl
def on_task_instance_failed(previous_state: Any, task_instance: Any, error: Any) -> None:  # noqa: ARG001  # Airflow asks
    """End the job of a task that somebody has marked as failed."""
    _marked(previous_state, task_instance)


@hookimpl
def on_task_instance_skipped(previous_state: Any, task_instance: Any) -> None:
    """End the job of a task that somebody has marked as skipped."""
    _marked(previous_state, task_instance)


def _marked(previous_state: Any, task: Any) -> None:
    """Start to end the job; a worker, which says what the state was, is not somebody."""
    if previous_state is None and find_spec("airflow.providers.databricks") is not None:
        arguments = task.dag_id, task.run_id, task.task_id, task.map_index
        threading.Thread(target=end_job, args=arguments, daemon=True).start()  # the API server is not kept waiting


def end_job(dag_id: str, run_id: str, task_id: str, map_index: int) -> None:
    """End the job on Databricks that a task waits for, if nobody else does; never fails."""
    from airflow.providers.databricks.hooks.databricks import DatabricksHook

    try:
        state = Workspace().state
        runs, root_id = RunStore(state), root_id_for(dag_id, run_id)
        steps = runs.latest_steps(root_id) if runs.exists(root_id) else []
        for record in (step for step in steps if _is_of(step, task_id, map_index)):
            job = unwanted_job(state, record)
            if job is not None:
                DatabricksHook(job.conn_id, caller="Refrain").cancel_run(job.job_id)
                log.info("Run %s in Databricks was canceled, because task %s was marked.", job.job_id, task_id)
                close_record(state, record.run_id)
    except Exception:  # the boundary of a thread
        log.warning("The job of task %s of run %s could not be canceled.", task_id, run_id, exc_info=True)


def _is_of(record: RunRecord, task_id: str, map_index: int) -> bool:
    return (record.origin.get("task_id"), record.origin.get("map_index")) == (task_id, map_index)
