"""PipelineRun and StepRun: finished or running work, read from the workspace."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from refrain.data.handle import DataHandle
from refrain.data.port_data import PortDataReference
from refrain.errors import DataError, RunFailedError, UnknownNameError, known
from refrain.execution.failure import tail
from refrain.execution.run_folder import LOG_FILE
from refrain.pipelines.backends import Backend, backend
from refrain.pipelines.local import RUNNER_LOG
from refrain.pipelines.recorded import RecordedRun
from refrain.pipelines.step_output import StepRunOutput
from refrain.pipelines.watch import Watch
from refrain.storage.state import WorkspaceState
from refrain.tracking.metrics import Labels, RunLog, read_pipeline_log, read_step_log
from refrain.tracking.record import RunRecord, RunStatus, RunStore
from refrain.tracking.run_files import EVENTS, RunFiles

if TYPE_CHECKING:
    from refrain.pipelines.experiment import Experiment
    from refrain.pipelines.workspace import Workspace

_FINISHED = "Finished"


class PipelineRun(RecordedRun):
    """One run of a pipeline."""

    def __init__(self, experiment: Experiment, run_id: str) -> None:
        """Hold the run of this id; it need not have begun yet."""
        super().__init__(experiment.workspace.state, run_id)
        self.experiment = experiment

    @staticmethod
    def get(workspace: Workspace, run_id: str) -> PipelineRun:
        """Return the run of this id.

        :raises RunNotFoundError: when there is none.
        """
        from refrain.pipelines.experiment import Experiment

        record = RunStore(workspace.state).get(run_id)
        return PipelineRun(Experiment(workspace, record.experiment), run_id)

    @property
    def status(self) -> str:
        """The status in the words of the run history, such as ``Running``, ``Completed`` or ``Failed``."""
        record = self._record_or_none()
        if record is None:
            return RunStatus.NOT_STARTED.value
        status = self._backend(record).status(record)
        if status.is_final and not record.status.is_final:
            # It may have ended between the two looks, and what it wrote at its end is the truth.
            written = self.record.status
            status = written if written.is_final else status
            if status is RunStatus.FAILED and not written.is_final and self.store.is_cancel_requested(self.id):
                status = RunStatus.CANCELED
        return status.value

    def get_status(self) -> str:
        """Return the status in the words of the pipeline service, which says ``Finished`` for ``Completed``."""
        return _pipeline_word(self.status)

    def get_steps(self) -> Iterator[StepRun]:
        """Yield the newest attempt of each step, the latest started first."""
        for record in reversed(self.store.latest_steps(self.id)):
            yield StepRun(self, record.run_id)

    get_children = get_steps

    def find_step_run(self, name: str) -> list[StepRun]:
        """Return the runs of the steps called *name*; several steps may share a name."""
        return [step for step in self.get_steps() if step.name == name]

    def get_pipeline_output(self, pipeline_output_name: str) -> PortDataReference:
        """Return the data of an output that was given this ``pipeline_output_name``.

        :raises UnknownNameError: when no output of the pipeline has it, or its step has not completed.
        """
        outputs = self.record.pipeline_outputs
        if pipeline_output_name not in outputs:
            raise UnknownNameError(f"The run has no pipeline output {pipeline_output_name!r}. Known: {known(outputs)}.")
        key, output = outputs[pipeline_output_name]
        for step in self.get_steps():
            if step.record.key == key:
                return step.get_output_data(output)
        raise UnknownNameError(f"The step {key!r} has not written the pipeline output {pipeline_output_name!r} yet.")

    def wait_for_completion(
        self, show_output: bool = True, timeout_seconds: float = sys.maxsize, raise_on_error: bool = True
    ) -> str:
        """Wait for the end, showing each step's output as it comes, and return the status.

        :raises RunFailedError: when the run failed, unless *raise_on_error* is off.
        :raises TimeoutError: when it has not ended in time; it goes on.
        """
        watch = Watch(self.store, self.id, sys.stdout if show_output else None)
        deadline = time.monotonic() + timeout_seconds
        watch.begin()
        while not RunStatus(status := self.status).is_final:
            watch.look(status)
            if time.monotonic() > deadline:
                raise TimeoutError(f"Run {self.id} has not ended after {timeout_seconds} seconds; it goes on.")
            time.sleep(self.pause)
        watch.end(status)
        if status == RunStatus.FAILED.value and raise_on_error:
            raise RunFailedError(self._why_failed())
        return _pipeline_word(status)

    def cancel(self) -> None:
        """Stop the run and everything that it started; nothing happens when it has ended."""
        record = self.record
        if not record.status.is_final:
            self.store.request_cancel(self.id)
            self._backend(record).cancel(record)

    def logged(self) -> RunLog:
        """See :meth:`RecordedRun.logged`: what the steps' scripts logged for their parent."""
        paths = [step.events_path() for step in reversed(list(self.get_steps()))]
        record = self._record_or_none()
        return read_pipeline_log(paths, self.id, Labels(record.tags, record.properties) if record else None)

    def _children(self) -> Iterator[RecordedRun]:
        yield from self.get_steps()

    def _why_failed(self) -> str:
        error = self.record.error
        if error:
            return error
        log = self.files().path(RUNNER_LOG)
        last = "\n".join(tail(str(log))) if log else ""
        return f"Run {self.id} failed: its process ended before it did." + (f" It said last:\n{last}" if last else "")

    def _backend(self, record: RunRecord) -> Backend:
        return backend(str(record.origin.get("kind", "local")))


class StepRun(RecordedRun):
    """One step of a pipeline run."""

    def __init__(self, parent: PipelineRun, run_id: str) -> None:
        """Hold the step run of this id."""
        super().__init__(parent.state, run_id, parent.store)
        self.parent = parent
        self.experiment = parent.experiment

    @property
    def status(self) -> str:
        """The status in the words of the run history; a step whose run is over without it was ended with the run."""
        status = self.record.status
        if status.is_final:
            return status.value
        parent = RunStatus(self.parent.status)
        if not parent.is_final:
            return status.value
        written = self.record.status
        ended = RunStatus.CANCELED if parent is RunStatus.CANCELED else RunStatus.FAILED
        return (written if written.is_final else ended).value

    @property
    def pipeline_run_id(self) -> str:
        """The id of the pipeline run."""
        return self.parent.id

    @property
    def is_reused(self) -> bool:
        """Say whether an earlier run's result stands for this step."""
        return self.record.reused_from is not None

    def get_status(self) -> str:
        """Return the status in the words of the pipeline service, which says ``Finished`` for ``Completed``."""
        return _pipeline_word(self.status)

    def get_outputs(self) -> dict[str, StepRunOutput]:
        """Return the outputs by name; empty until the step has completed."""
        return {name: StepRunOutput(name, self._output(name)) for name in self.record.outputs}

    def get_output(self, name: str) -> StepRunOutput:
        """Return one output.

        :raises UnknownNameError: when the step has none of this name.
        """
        return StepRunOutput(name, self._output(name))

    def get_output_data(self, name: str) -> PortDataReference:
        """Return one output's data; of a reused step, the data of the run that made it.

        :raises UnknownNameError: when the step has no output of this name.
        """
        return self._output(name)

    def get_stdout_log(self) -> str:
        """Return the process's output so far; of a reused step, that of the run that made the result."""
        path = self.files().path(LOG_FILE)
        return "" if path is None else path.read_text(encoding="utf-8", errors="replace")

    get_job_log = get_stdout_log

    def get_stderr_log(self) -> str:
        """Return an empty text: standard error is part of :meth:`get_stdout_log`, in the order of writing."""
        return ""

    def wait_for_completion(
        self, show_output: bool = True, timeout_seconds: float = sys.maxsize, raise_on_error: bool = True
    ) -> str:
        """Wait for the step's end and return its status; raises as :meth:`PipelineRun.wait_for_completion`."""
        watch = Watch(self.store, self.parent.id, sys.stdout if show_output else None, only=self.record.key)
        deadline = time.monotonic() + timeout_seconds
        while not RunStatus(self.status).is_final and not RunStatus(self.parent.status).is_final:
            watch.look(self.status)
            if time.monotonic() > deadline:
                raise TimeoutError(f"Step run {self.id} has not ended after {timeout_seconds} seconds; it goes on.")
            time.sleep(self.pause)
        watch.look(self.status)
        if self.status == RunStatus.FAILED.value and raise_on_error:
            raise RunFailedError(self.record.error)
        return self.get_status()

    def logged(self) -> RunLog:
        """See :meth:`RecordedRun.logged`; of a reused step, what the run that made the result logged."""
        record = self.record
        return read_step_log(self.events_path(), self.id, Labels(record.tags, record.properties)).own

    def events_path(self) -> str:
        """Return the file of events behind this run, which for a reused step is the one of the original run."""
        files = self.files()
        return str(files.path(EVENTS) or files.folder / EVENTS)

    def files(self) -> RunFiles:
        """See :meth:`RecordedRun.files`."""
        return self.store.files(self.record.made_by)

    def _output(self, name: str) -> PortDataReference:
        outputs = self.record.outputs
        if name not in outputs:
            raise UnknownNameError(f"Step {self.name!r} has no output {name!r} to show. Known: {known(outputs)}.")
        return port_data(name, DataHandle.from_json(outputs[name]), self.state)


def port_data(name: str, handle: DataHandle, state: WorkspaceState) -> PortDataReference:
    """Return data by the datastore that holds it.

    :raises DataError: when it is on none of the workspace's datastores.
    """
    place = state.stores.at(handle.uri)
    found = state.stores.datastore_of(place)
    if found is None:
        raise DataError(f"The output {name!r} at {place} is on none of the workspace's datastores.")
    return PortDataReference(name, *found, handle, state)


def _pipeline_word(status: str) -> str:
    return _FINISHED if status == RunStatus.COMPLETED.value else status
