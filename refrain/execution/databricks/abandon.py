"""Abandoning: what becomes of a job on Databricks when a step run no longer waits for it."""

from __future__ import annotations

import time

from refrain.errors import RunNotFoundError
from refrain.execution.submissions import Submission, Submissions, scope_of_one_run
from refrain.storage.state import WorkspaceState
from refrain.tracking.record import RunRecord, RunStatus, RunStore
from refrain.tracking.run_id import StepRunId


def is_to_be_ended(state: WorkspaceState, scope: str, step_run_id: str, job_id: int) -> bool:
    """Say whether nobody needs the job when *step_run_id* does not: no later try of the step, no step of another run.

    :param scope: under which the job is noted.
    :raises WorkspaceError: when the workspace cannot be read.
    """
    note = Submissions(state.objects).find(scope)
    if note is None or note.job_id != job_id:
        return True  # a later try may have submitted a job of its own
    runs, own = RunStore(state), StepRunId.parse(step_run_id)
    return not any(_goes_on(runs, other, own) for other in (note.step_run_id, *note.followers))


def unwanted_job(state: WorkspaceState, record: RunRecord) -> Submission | None:
    """Return the job that a step run waits for and nobody else needs; None when there is none.

    :raises WorkspaceError: when the workspace cannot be read.
    """
    step = StepRunId.parse(record.run_id)
    for scope in (record.fingerprint, scope_of_one_run(step.root, step.key, record.fingerprint)):
        note = Submissions(state.objects).find(scope)
        is_own = note is not None and record.run_id in (note.step_run_id, *note.followers)
        if note is not None and is_own and note.job_id is not None:
            return note if is_to_be_ended(state, scope, record.run_id, note.job_id) else None
    return None


def close_record(state: WorkspaceState, step_run_id: str) -> None:
    """Let the record of a step run that waits no longer say so, unless it has ended already.

    :raises WorkspaceError: when it cannot be written.
    """
    runs = RunStore(state)
    if not runs.exists(step_run_id):
        return
    record = runs.get(step_run_id)
    if not record.status.is_final:
        error = f"Step {record.name!r} was canceled."
        runs.update(record, status=RunStatus.CANCELED, ended=time.time(), error=error)


def _goes_on(runs: RunStore, run_id: str, own: StepRunId) -> bool:
    other = StepRunId.parse(run_id)
    if (other.root, other.key) == (own.root, own.key) and other.attempt <= own.attempt:
        return False
    try:
        return not runs.get(run_id).status.is_final
    except RunNotFoundError:
        return False
