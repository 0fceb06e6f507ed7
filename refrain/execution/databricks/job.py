"""DatabricksJob: the one run on Databricks that makes a step's result: found or submitted, followed, canceled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from refrain.compute.databricks.channel import open_channel
from refrain.compute.databricks.run import DatabricksRun, Ending
from refrain.compute.databricks.service import Databricks
from refrain.compute.databricks.settings import DatabricksSettings
from refrain.errors import (
    DatabricksError,
    DatabricksRefusedError,
    RunNotFoundError,
    StepCanceledError,
    SuspendedError,
    WorkspaceError,
)
from refrain.execution.body import Work
from refrain.execution.databricks.abandon import is_to_be_ended
from refrain.execution.step_log import StepLog
from refrain.execution.submissions import Submission, Submissions, scope_of_one_run
from refrain.tracking.record import RunStatus, RunStore

_FIRST_PAUSE = 0.25
_PATIENCE_SECONDS = 600.0  # Databricks may be away for as long while a run goes on
_CANCELED_WITHIN_SECONDS = 3.0


@dataclass(frozen=True)
class AwaitedRun:
    """What whoever waits for a run needs to know.

    :param poll_seconds: between two looks.
    :param scope: under which the job is noted.
    """

    run_id: int
    page: str
    conn_id: str
    poll_seconds: float
    scope: str


class DatabricksJob:
    """See the module. Used by one thread, but for :meth:`cancel`."""

    def __init__(self, work: Work, settings: DatabricksSettings, log: StepLog, is_canceled: threading.Event) -> None:
        """Know for which step it is; nothing is asked of Databricks yet.

        :raises UserError: when Databricks cannot be reached from here.
        """
        self._work = work
        self._settings = settings
        self._log = log
        self._is_canceled = is_canceled
        self._submissions = Submissions(work.state.objects)
        self._scope = _scope(work)
        self._submission: Submission | None = None
        self._lock = threading.Lock()
        self._is_left = False
        self.service = Databricks(open_channel(settings.conn_id))
        self.request: Mapping[str, Any] = {}

    @property
    def step_run_id(self) -> str:
        """The step run to whose places the job writes: this one, or the earlier try that submitted it."""
        return self._noted().step_run_id

    def find(self) -> Submission | None:
        """Return the job of an earlier try that is to be gone on with; None when a new one has to be submitted."""
        found = self._submissions.find(self._scope)
        if found is None:
            return None
        if self._is_stale(found):
            self.settle()
            return None
        if found.conn_id != self._settings.conn_id:
            self.service = Databricks(open_channel(found.conn_id))
        self._submission = self._submissions.follow(self._scope, found, self._work.record.run_id)
        return self._submission

    def begin(self, clear: Callable[[str], None]) -> Submission:
        """Note that a job is about to be submitted.

        :param clear: empties the places of a step run's outputs.
        """
        run_id = self._work.record.run_id
        clear(run_id)
        self._submission = self._submissions.begin(self._scope, run_id, self._settings.conn_id)
        return self._submission

    def follow(self) -> DatabricksRun:
        """Submit the job if that has not been done, and return its run when it has ended.

        :raises SuspendedError: when the step may be suspended and the run goes on.
        :raises StepCanceledError: when the step was canceled and the run is about to end.
        :raises DatabricksError: when the run cannot be submitted or followed.
        """
        run = self._look(self._submitted())
        self._log.say(f"run {run.run_id} in Databricks: {run.page}")
        self._announce(run)
        if self._work.request.may_suspend and run.ending is None and not self._is_canceled.is_set():
            conn_id, pause = self._noted().conn_id, self._settings.poll_seconds
            awaited = AwaitedRun(run.run_id, run.page, conn_id, pause, self._scope)
            raise SuspendedError(f"Run {run.run_id} in Databricks goes on.", self._work.record.run_id, awaited)
        try:
            return self._wait(run)
        except BaseException as error:
            if not isinstance(error, Exception):
                self.cancel()
            raise

    def tell(self, run: DatabricksRun) -> str:
        """Write what the run has left into the step's log, and return its error."""
        try:
            output = self.service.output(run)
        except DatabricksError as error:
            self._work.listener.noted(self._work.step.key, f"the output of run {run.run_id} cannot be had: {error}")
            return ""
        for line in str(output.get("logs") or "").splitlines():
            self._log.say(line)
        if output.get("logs_truncated"):
            self._log.say("(Databricks gives the first 5 MB of a log only; the rest is on the run's page)")
        notebook = output.get("notebook_output") or {}
        if "result" in notebook:
            self._log.say(f"notebook result: {notebook['result']}" + (" (cut)" if notebook.get("truncated") else ""))
        for line in str(output.get("error_trace") or "").splitlines():
            self._log.say(line)
        return str(output.get("error") or "")

    def cancel(self) -> None:
        """Ask Databricks to end the run, unless another step run needs it; from any thread.

        A submission that is on its way is waited for.
        """
        with self._lock:
            submission = self._submission
        if submission is None or submission.job_id is None:
            return  # whoever submits looks at the flag afterwards
        if self._is_wanted(submission.job_id):
            self._is_left = True
            return
        try:
            self.service.cancel(submission.job_id)
        except DatabricksError as error:
            self._work.listener.noted(
                self._work.step.key, f"run {submission.job_id} in Databricks could not be canceled: {error}"
            )

    def _is_wanted(self, job_id: int) -> bool:
        """Say whether another step run goes on with the job, as far as can be seen."""
        try:
            return not is_to_be_ended(self._work.state, self._scope, self._work.record.run_id, job_id)
        except WorkspaceError as error:
            self._log.say(f"who else waits for run {job_id} cannot be seen: {error}")
            return False

    def settle(self) -> None:
        """Forget the job, whose end has been dealt with."""
        self._submissions.settle(self._scope)

    def _noted(self) -> Submission:
        assert self._submission is not None, "find() or begin() comes first"  # noqa: S101  # the body's order
        return self._submission

    def _is_stale(self, found: Submission) -> bool:
        """Say whether a note is left of a job that has been dealt with, or of one that failed in an earlier try."""
        own = self._work.record.run_id
        try:
            if RunStore(self._work.state).get(found.step_run_id).status is RunStatus.COMPLETED:
                return True
        except RunNotFoundError:
            pass
        if found.job_id is None:
            self._log.say(f"the job of step run {found.step_run_id} may have been submitted: submitting it again")
            return False
        run = Databricks(open_channel(found.conn_id)).find_run(found.job_id)
        if run is None or (run.ending not in (None, Ending.SUCCEEDED) and found.step_run_id != own):
            return True
        if found.step_run_id != own:
            self._log.say(f"going on with run {found.job_id}, which step run {found.step_run_id} submitted")
        return False

    def _submitted(self) -> int:
        with self._lock:
            noted = self._noted()
            if self._is_canceled.is_set() and noted.job_id is None:
                if noted.step_run_id == self._work.record.run_id:  # else it may have been submitted
                    self.settle()
                raise StepCanceledError(f"Step {self._work.step.name!r} was canceled before it was submitted.")
            if noted.job_id is None:
                noted = self._submission = self._submissions.submitted(self._scope, noted, self._submit())
        if self._is_canceled.is_set():
            self.cancel()
        return int(noted.job_id or 0)

    def _submit(self) -> int:
        try:
            return self.service.submit(self.request)
        except DatabricksError as error:
            # A token that is known leads to its run. So there is none, or it was deleted: both end the token's use.
            if error.status == 400:
                self.settle()
            said = f"Step {self._work.step.name!r} was not submitted. {error}"
            raise type(error)(said, error.status, error.code) from error

    def _announce(self, run: DatabricksRun) -> None:
        step_run = self._work.record.run_id
        tags = {"databricks.run_id": str(run.run_id), "databricks.run_page": run.page}
        RunStore(self._work.state).set_tags(step_run, tags)
        self._work.listener.linked(self._work.step.key, "Databricks run", run.page)

    def _wait(self, run: DatabricksRun) -> DatabricksRun:
        pause, told = min(_FIRST_PAUSE, self._settings.poll_seconds), ""
        while run.ending is None and not self._is_canceled.wait(pause):
            pause = min(self._settings.poll_seconds, pause * 2)
            if f"{run.state} {run.message}" != told:
                told = f"{run.state} {run.message}"
                self._log.say(f"run {run.run_id} is {run.state}" + (f": {run.message}" if run.message else ""))
            run = self._look(run.run_id)
        return run if run.ending is not None else self._wait_canceled(run)

    def _wait_canceled(self, run: DatabricksRun) -> DatabricksRun:
        """Wait a moment for the end of a canceled run: Airflow does not let a task take long over it."""
        if self._is_left:
            raise StepCanceledError(
                f"Step {self._work.step.name!r} was canceled; its run {run.run_id} in Databricks goes on, because "
                f"another step run waits for it, too: {run.page}"
            )
        until = time.monotonic() + _CANCELED_WITHIN_SECONDS
        while run.ending is None and time.monotonic() < until:
            time.sleep(_FIRST_PAUSE)
            run = self._look(run.run_id)
        if run.ending is None:
            raise StepCanceledError(
                f"Step {self._work.step.name!r} was canceled; Databricks was asked to end its run {run.run_id}: "
                f"{run.page}"
            )
        return run

    def _look(self, run_id: int) -> DatabricksRun:
        """Look at the run; Databricks may be away for a while, in which the run goes on.

        :raises DatabricksError: when it is away for too long, or refuses; the note of the run stays.
        """
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return self.service.run(run_id)
            except DatabricksError as error:
                is_final = isinstance(error, DatabricksRefusedError) or time.monotonic() > until
                if is_final or self._is_canceled.is_set():
                    said = (
                        f"Step {self._work.step.name!r}: run {run_id} in Databricks cannot be followed, and may still "
                        f"be going on. {error} Run the step again then: it goes on with that run."
                    )
                    raise type(error)(said, error.status, error.code) from error
                self._work.listener.noted(self._work.step.key, f"looking again soon: {error}")
                self._is_canceled.wait(self._settings.poll_seconds)


def _scope(work: Work) -> str:
    """Return what a job is for: the result of a fingerprint or, where nobody may share it, that of one pipeline run."""
    request, fingerprint = work.request, work.record.fingerprint
    if request.step.allow_reuse and not request.is_forced:
        return fingerprint
    return scope_of_one_run(request.run.root_id, request.step.key, fingerprint)
