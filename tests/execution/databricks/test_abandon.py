"""Whose job it is: whether a job ends when one of the step runs that wait for it no longer does."""

from __future__ import annotations

from pathlib import Path

import pytest

from refrain.execution.databricks.abandon import close_record, is_to_be_ended, unwanted_job
from refrain.execution.submissions import Submission, Submissions, scope_of_one_run
from refrain.storage.state import WorkspaceState
from refrain.tracking.record import RunRecord, RunStatus, RunStore

ROOT, OTHER, FINGERPRINT = "a" * 32, "b" * 32, "ab" * 32
OWN = f"{ROOT}.work.2"


@pytest.fixture
def state(tmp_path: Path) -> WorkspaceState:
    return WorkspaceState(tmp_path)


def _put(state: WorkspaceState, run_id: str, status: RunStatus = RunStatus.RUNNING) -> RunRecord:
    record = RunRecord(run_id, "work", "p", "e", key="work", status=status, fingerprint=FINGERPRINT)
    RunStore(state).put(record)
    return record


def _noted(state: WorkspaceState, *run_ids: str, scope: str = FINGERPRINT) -> Submission:
    """Note job 7, which the first step run has submitted and the others go on with."""
    jobs = Submissions(state.objects)
    note = jobs.submitted(scope, jobs.begin(scope, run_ids[0], "lab"), 7)
    for run_id in run_ids[1:]:
        note = jobs.follow(scope, note, run_id)
    assert jobs.find(scope) == note
    return note


@pytest.mark.parametrize(
    ("other", "status", "is_ended"),
    [
        (f"{ROOT}.work.3", RunStatus.RUNNING, False),
        (f"{ROOT}.work.1", RunStatus.RUNNING, True),  # an earlier try was killed
        (f"{OTHER}.work.1", RunStatus.RUNNING, False),
        (f"{OTHER}.work.1", RunStatus.CANCELED, True),
    ],
)
def test_a_job_ends_unless_a_later_try_or_another_run_lives_on_it(
    state: WorkspaceState, other: str, status: RunStatus, is_ended: bool
) -> None:
    own = _put(state, OWN)
    _put(state, other, status)
    note = _noted(state, other, OWN)
    assert is_to_be_ended(state, FINGERPRINT, OWN, 7) is is_ended
    assert unwanted_job(state, own) == (note if is_ended else None)


def test_a_run_that_the_workspace_does_not_know_needs_no_job(state: WorkspaceState) -> None:
    _noted(state, f"{OTHER}.work.1", OWN)
    assert is_to_be_ended(state, FINGERPRINT, OWN, 7)


def test_the_job_of_a_forced_step_is_found_too(state: WorkspaceState) -> None:
    note = _noted(state, OWN, scope=scope_of_one_run(ROOT, "work", FINGERPRINT))
    assert unwanted_job(state, _put(state, OWN)) == note


def test_a_step_run_has_no_claim_to_the_job_of_another(state: WorkspaceState) -> None:
    _noted(state, f"{OTHER}.work.1")
    assert unwanted_job(state, _put(state, OWN)) is None


def test_a_closed_record_says_canceled_and_one_that_has_ended_stays(state: WorkspaceState) -> None:
    _put(state, OWN)
    _put(state, f"{ROOT}.work.1", RunStatus.COMPLETED)
    for run_id in (OWN, f"{ROOT}.work.1", f"{OTHER}.work.1"):
        close_record(state, run_id)
    runs = RunStore(state)
    assert (runs.get(OWN).status, runs.get(OWN).error) == (RunStatus.CANCELED, "Step 'work' was canceled.")
    assert runs.get(f"{ROOT}.work.1").status is RunStatus.COMPLETED
    assert not runs.exists(f"{OTHER}.work.1")
