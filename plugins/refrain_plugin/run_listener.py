"""Run listener: when a DAG run ends, in whatever way, the pipeline run's record says so.

Airflow calls it in the scheduler, so that it must be quick and can never be allowed to fail. It knows the workspace
that ``REFRAIN_WORKSPACE`` or the configuration file of Airflow's processes names; the runs of other workspaces are left
to their tasks.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from airflow.listeners import hookimpl

from refrain.errors import RefrainError
from refrain.pipelines.workspace import Workspace
from refrain.tracking.record import RunStatus, RunStore
from refrain.tracking.run_id import root_id_for

# What Airflow's API server says of a run whose state somebody set.
_BY_HAND = "manually set"

log = logging.getLogger(__name__)


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:
    """Note that a run has begun, or goes on after its tasks were cleared."""
    _note(dag_run, RunStatus.RUNNING, msg)


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """Note that a run has completed."""
    _note(dag_run, RunStatus.COMPLETED, msg)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """Note that a run has failed; one that was marked so by hand, in the UI or over REST, was canceled."""
    _note(dag_run, RunStatus.CANCELED if _BY_HAND in msg else RunStatus.FAILED, msg)


def _note(dag_run: Any, status: RunStatus, msg: str) -> None:
    root_id = root_id_for(dag_run.dag_id, dag_run.run_id)
    try:
        runs = RunStore(Workspace().state)
        if not runs.exists(root_id):
            return
        record = runs.get(root_id)
        # To mark a run, Airflow first marks its tasks; a scheduler that looks meanwhile takes the run to have ended so.
        if record.status is RunStatus.CANCELED and status.is_final and _BY_HAND not in msg:
            return
        ended = time.time() if status.is_final else None
        if ended is not None:
            _close_steps(root_id, runs, status, ended)
        runs.update(record, status=status, ended=ended, error=_why(root_id, runs, status))
    except (RefrainError, OSError):
        log.warning("The record of run %s could not be updated.", root_id, exc_info=True)


def _close_steps(root_id: str, runs: RunStore, status: RunStatus, ended: float) -> None:
    """End the records of steps whose process was killed before it could; nobody else comes by for the last try."""
    for step in runs.steps(root_id):
        if status is RunStatus.CANCELED and not step.status.is_final:
            runs.update(step, status=RunStatus.CANCELED, ended=ended, error=f"Step {step.name!r} was canceled.")
        elif not step.status.is_final:
            runs.update(step, status=RunStatus.FAILED, ended=ended, error="The process that ran the step was killed.")


def _why(root_id: str, runs: RunStore, status: RunStatus) -> str:
    """Return the error of the first failed step; without one, a task that is no step has failed."""
    if status is RunStatus.CANCELED:
        return "The DAG run was marked as failed by hand."
    if status is not RunStatus.FAILED:
        return ""
    errors = [step.error for step in runs.latest_steps(root_id) if step.status is RunStatus.FAILED]
    return errors[0] if errors else "A task of the DAG run failed outside of its step. Read the task's log in Airflow."
