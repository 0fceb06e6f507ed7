"""DatabricksBody: a step whose work is a job on Databricks."""

from __future__ import annotations

import threading
from typing import Any

from refrain.compute.databricks.run import Ending
from refrain.compute.databricks.service import Databricks
from refrain.compute.databricks.settings import DatabricksSettings
from refrain.data.handle import DataHandle
from refrain.data.ports import OutputKind, OutputPort
from refrain.errors import DatabricksError, OutputError, StepCanceledError, StepFailedError
from refrain.execution.body import Work
from refrain.execution.databricks.address import address
from refrain.execution.databricks.job import DatabricksJob
from refrain.execution.databricks.request import RequestParts, forbids_restart, require_running, submit_request
from refrain.execution.databricks.source import upload
from refrain.execution.run_folder import LOG_FILE
from refrain.execution.stage import Stage, open_stage
from refrain.execution.step_log import StepLog
from refrain.execution.submissions import Submission
from refrain.storage.manifest import TreeKind
from refrain.storage.store import Place
from refrain.storage.trees import OUTPUT
from refrain.tracking.record import RunStore
from refrain.tracking.run_id import StepRunId


class DatabricksBody:
    """See :class:`refrain.execution.body.Body`.

    The job writes to the places of its outputs, which Databricks reaches and this machine only looks at. A job that an
    earlier try has submitted, and that has not failed, is gone on with instead of submitting a second one.
    """

    def __init__(self, work: Work) -> None:
        """Know what to do; nothing is asked of Databricks yet."""
        self._work = work
        self._log = StepLog(work)
        self._settings = DatabricksSettings.of(work.computes.target(work.step.compute), work.step)
        self._stage: Stage | None = None
        self._job: DatabricksJob | None = None
        self._is_canceled = threading.Event()
        self._is_published = False

    def prepare(self) -> None:
        """See :class:`Body`: find the job of an earlier try, or make ready what a new one needs."""
        self._log.open()
        work = self._work
        stage = self._stage = open_stage(StepRunId.parse(work.record.run_id), (), work.state)
        job = self._job = DatabricksJob(work, self._settings, self._log, self._is_canceled)
        submission = job.find() or job.begin(self._clear)
        if submission.job_id is not None:
            return
        try:
            job.request = self._request(submission, stage, job.service)
        except BaseException:
            if submission.step_run_id == work.record.run_id:  # else it may have been submitted
                job.settle()
            raise

    def perform(self) -> None:
        """See :class:`Body`: submit the job unless that has been done, wait for its end, and write down what it left.

        :raises SuspendedError: when somebody else waits for the end.
        """
        job, name = self._found(), self._work.step.name
        run = job.follow()
        output = job.tell(run)
        if run.ending is Ending.SUCCEEDED:
            return
        job.settle()
        self._clear(job.step_run_id)
        if self._is_canceled.is_set():
            raise StepCanceledError(f"Step {name!r} was canceled, and its run {run.run_id} in Databricks with it.")
        text = f"Step {name!r}: its run {run.run_id} in Databricks {run.sentence(output)}"
        text += f" Its page is {run.page}, its log {self._work.files.will_be(LOG_FILE)}"
        raise DatabricksError(text) if run.ending is Ending.LOST else StepFailedError(text)

    def cancel(self) -> None:
        """See :class:`Body`."""
        self._is_canceled.set()
        if self._job is not None:
            self._job.cancel()

    def publish(self) -> dict[str, DataHandle]:
        """See :class:`Body`; what counts is what is at the outputs' places now."""
        job = self._found()
        try:
            outputs = {port.name: self._publish(port, job.step_run_id) for port in self._work.step.outputs}
        except OutputError:
            job.settle()
            raise
        self._is_published = True
        if job.step_run_id != self._work.record.run_id:
            self._note_owner(job.step_run_id, outputs)
        return outputs

    def take_back(self) -> None:
        """See :class:`Body`: the outputs stay, and so does the note of the job that made them, for the next try."""
        self._is_published = False

    def close(self) -> None:
        """See :class:`Body`."""
        if self._is_published:
            self._found().settle()
        if self._stage is not None:
            self._stage.remove()

    def _request(self, submission: Submission, stage: Stage, service: Databricks) -> dict[str, Any]:
        """Upload the source, and return what Databricks is asked for."""
        work = self._work
        read = {
            name: self._address(work.state.stores.at(item.handle.uri), f"input {name!r}")
            for name, item in work.inputs.items()
        }
        written = {
            port.name: self._address(self._place(port, submission.step_run_id), f"output {port.name!r}")
            for port in work.step.outputs
        }
        uploaded = upload(work, stage, self._settings, service, self._log)
        parts = RequestParts(submission.token, submission.step_run_id, read, written, uploaded)
        request = submit_request(work, self._settings, parts)
        if forbids_restart(work.step):
            require_running(request, work.step, service)
        return request

    def _found(self) -> DatabricksJob:
        assert self._job is not None, "prepare() comes first"  # noqa: S101  # the engine's order, nobody's input
        return self._job

    def _place(self, port: OutputPort, step_run_id: str) -> Place:
        return self._work.state.stores.on(port.datastore, port.path_for(step_run_id))

    def _address(self, place: Place, what: str) -> str:
        return address(place, f"Step {self._work.step.name!r}, {what}", self._settings, self._work.state)

    def _clear(self, step_run_id: str) -> None:
        """Empty the places that are the step run's own; on a file system that is shared, make the folders above."""
        for port in self._work.step.outputs:
            place = self._place(port, step_run_id)
            if not port.is_shared:
                place.store.remove(place.path)
            if place.in_place is not None:
                folder = place.in_place if port.kind is OutputKind.DIRECTORY else place.in_place.parent
                folder.mkdir(parents=True, exist_ok=True)

    def _publish(self, port: OutputPort, step_run_id: str) -> DataHandle:
        place, name = self._place(port, step_run_id), self._work.step.name
        what = f"Step {name!r} ended well, but its output {port.name!r} at {place}"
        if not place.exists():
            raise OutputError(
                f"{what} is not there. The job gets that address as the widget or argument {port.name!r}."
            )
        manifest = place.manifest(OUTPUT)
        if not manifest.files:
            raise OutputError(f"{what} is an empty directory.")
        if port.kind is OutputKind.DIRECTORY and manifest.kind is not TreeKind.DIRECTORY:
            raise OutputError(f"{what} must be a directory, not a file.")
        self._work.state.blobs.put_manifest(manifest)
        return DataHandle(place.uri, manifest.kind, manifest.digest, manifest.files, manifest.bytes)

    def _note_owner(self, step_run_id: str, outputs: dict[str, DataHandle]) -> None:
        """Let the record of the try that submitted the job name the data at its places, so that cleaning finds it."""
        runs = RunStore(self._work.state)
        if runs.exists(step_run_id):
            references = {name: handle.to_json() for name, handle in outputs.items()}
            runs.update(runs.get(step_run_id), outputs=references)
