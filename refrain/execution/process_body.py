"""ProcessBody: a step whose work is done by a process, in a working directory of its own."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from refrain.compute.job import Job, JobPath, JobResult, JobStatus
from refrain.compute.spark import SparkSettings
from refrain.compute.spark_symptoms import Symptoms
from refrain.data.handle import DataHandle
from refrain.data.ports import InputMode, OutputMode, OutputPort
from refrain.errors import StepCanceledError, StepFailedError
from refrain.execution.addresses import address, output_address
from refrain.execution.body import Work
from refrain.execution.commit import Commit
from refrain.execution.failure import TAIL_LINES, message
from refrain.execution.inputs import ResolvedInput, provide
from refrain.execution.mounts import require_mounts_intact
from refrain.execution.process_environment import process_environment, text_of
from refrain.execution.rank_logs import RankLogs
from refrain.execution.run_folder import LOG_FILE, collect, prepare
from refrain.execution.stage import Stage, make_output_folders, open_stage
from refrain.reuse.preimage import secret_texts
from refrain.steps.command import InputPath, Interpreter, OutputPath, SparkSubmit, Token, UnfinishedPath
from refrain.steps.launching import is_launched
from refrain.storage import views
from refrain.storage.digest import digest_bytes
from refrain.storage.unfinished import UnfinishedWork
from refrain.tracking.questions import Document, answered
from refrain.tracking.run_id import StepRunId

if TYPE_CHECKING:
    from refrain.execution.model_desk import ModelDesk


class ProcessBody:
    """See :class:`refrain.execution.body.Body`."""

    def __init__(self, work: Work) -> None:
        """Know what to do; nothing is made yet."""
        self._work = work
        self._stage: Stage | None = None
        self._job: Job | None = None
        self._job_id: str | None = None
        self._compute = work.computes.compute(work.step.compute)
        self._commit: Commit | None = None
        self._unfinished: UnfinishedWork | None = None
        self._is_published = False
        self._is_canceled = False
        self._symptoms = Symptoms() if work.step.environment.uses_spark else None
        self._lock = threading.Lock()
        self._desk: ModelDesk | None = None

    def prepare(self) -> None:
        """See :class:`Body`: stage the source, the inputs and the places of the outputs."""
        work = self._work
        stage = self._stage = open_stage(
            StepRunId.parse(work.record.run_id), work.step.outputs, work.state, work.step.compute
        )
        remark = work.computes.remark(work.step.compute)
        if remark:
            work.listener.noted(work.step.key, remark)
        work.sources.restore(work.step.source, stage.working_directory)
        interpreter = self._compute.prepare(
            work.step.environment, lambda line: work.listener.noted(work.step.key, line)
        )
        if work.request.trial:
            work.request.trial.require_debugger(interpreter)
        self._job = self._make_job(stage, interpreter)
        make_output_folders(stage, work.step.outputs)

    def perform(self) -> None:
        """See :class:`Body`: launch the process, wait for it, keep what it leaves in its working directory."""
        with self._unfinished.followed() if self._unfinished is not None else nullcontext():
            self._perform()

    def _perform(self) -> None:
        work, stage, job = self._work, self._opened(), self._made()
        last: deque[str] = deque(maxlen=TAIL_LINES)
        with answered(stage.questions, self._answer):
            result = self._run(job, last)
        faults = views.end(stage.mounts)
        snapshot = work.sources.capture(work.step.source)
        for note in collect(work.folder, stage, work.step, snapshot, job.secrets):
            work.listener.noted(work.step.key, note)
        if self._is_canceled:
            raise StepCanceledError(f"Step {work.step.name!r} was canceled.")
        for fault in faults:
            work.listener.noted(work.step.key, fault)
        if result.status is not JobStatus.SUCCEEDED:
            cause = self._symptoms.cause if self._symptoms else ""
            raise StepFailedError(message(work.step, result, stage, work.files.will_be(LOG_FILE), last, cause))
        require_mounts_intact(stage, work.step.name, faults)

    def cancel(self) -> None:
        """See :class:`Body`."""
        with self._lock:
            self._is_canceled = True
            job_id = self._job_id
        if job_id is not None:
            self._compute.cancel(job_id)

    def publish(self) -> dict[str, DataHandle]:
        """See :class:`Body`."""
        step = self._work.step
        self._commit = Commit(self._opened(), step.outputs, self._work.state, step.name)
        outputs = self._commit.publish()
        self._is_published = True
        return outputs

    def take_back(self) -> None:
        """See :class:`Body`."""
        self._is_published = False
        if self._commit is not None:
            self._commit.take_back()

    def close(self) -> None:
        """See :class:`Body`."""
        if self._stage is None:
            return
        try:
            if self._work.request.trial:
                self._work.request.trial.keep(self._stage.working_directory)
        finally:
            self._stage.remove()
        if self._is_published and self._unfinished is not None:
            self._unfinished.remove()

    def _opened(self) -> Stage:
        assert self._stage is not None, "prepare() comes first"  # noqa: S101  # the engine's order, nobody's input
        return self._stage

    def _made(self) -> Job:
        assert self._job is not None, "prepare() comes first"  # noqa: S101  # the engine's order, nobody's input
        return self._job

    def _make_job(self, stage: Stage, interpreter: str) -> Job:
        work, step = self._work, self._work.step
        read = work.models.read_by = {name: self._read(item, stage) for name, item in work.inputs.items()}
        written = {port.name: self._written(port, stage) for port in step.outputs}
        log_path = prepare(work.folder, work.request, work.record, read, written, stage)
        run_id = work.record.run_id
        if UnfinishedPath() in step.command:
            self._unfinished = work.state.unfinished(_work_key(work))
            void = work.models.go_on_with(self._unfinished, work.state)
            if void:
                work.listener.noted(step.key, f"begins anew, since not all of it would be made of the same: {void}")
        machine = self._compute.variables(step.environment, interpreter)
        variables = process_environment(work.request, run_id, work.folder, machine, {**read, **written})
        argv = tuple(w for t in step.command for w in self._words(t, interpreter, read, written))
        return Job(
            run_id=run_id,
            argv=work.request.trial.argv(argv) if work.request.trial else argv,
            working_directory=str(stage.working_directory),
            environment=variables | (self._spark().variables() if step.environment.uses_spark else {}),
            log_path=log_path,
            secrets=tuple(sorted({t for variable in step.environment.variables for t in secret_texts(*variable)})),
            scratch=str(stage.folder),
            paths=lambda: self._paths(stage, read),
            runs_in=step.environment,
        )

    def _words(
        self, token: Token, interpreter: str, read: Mapping[str, str], written: Mapping[str, str]
    ) -> tuple[str, ...]:
        if isinstance(token, Interpreter):
            return (interpreter,)
        if isinstance(token, SparkSubmit):
            return ("-m", "refrain.runtime.spark_submit", json.dumps(dict(token.conf)))
        if isinstance(token, InputPath):
            return (read[token.name],)
        if isinstance(token, OutputPath):
            return (written[token.name],)
        if isinstance(token, UnfinishedPath):
            assert self._unfinished is not None  # noqa: S101  # made for this word
            return (str(self._unfinished.folder),)
        return (text_of(token, self._work.request),)

    def _paths(self, stage: Stage, read: Mapping[str, str]) -> tuple[JobPath, ...]:
        from refrain.execution.job_paths import job_paths  # here: most processes run on this machine

        unfinished = () if self._unfinished is None else (str(self._unfinished.path),)
        return job_paths(stage, (self._work.folder, *unfinished), self._work.inputs.values(), read)

    def _read(self, item: ResolvedInput, stage: Stage) -> str:
        """Return what the process reads an input by: a path, or for Spark an address."""
        stores = self._work.state.stores
        if item.port.mode is InputMode.HDFS:
            return address(item, stage, stores, self._spark())
        return provide(item, stage, stores)

    def _written(self, port: OutputPort, stage: Stage) -> str:
        path = stage.outputs[port.name]
        return output_address(port.name, path, self._spark()) if port.mode is OutputMode.HDFS else str(path)

    def _answer(self, question: Document) -> Document:
        if self._desk is None:
            from refrain.execution.model_desk import ModelDesk  # here: most scripts ask nothing

            work, folder = self._work, self._opened().working_directory
            self._desk = ModelDesk(work.state, work.models, folder, work.record.run_id, self._warn)
        return self._desk.answer(question)

    def _warn(self, text: str) -> None:
        """Say what matters for those who might reuse the result."""
        if self._work.step.allow_reuse:
            self._work.listener.noted(self._work.step.key, text)

    def _spark(self) -> SparkSettings:
        return SparkSettings.of(self._work.computes.target(self._work.step.compute))

    def _run(self, job: Job, last: deque[str]) -> JobResult:
        compute, key = self._compute, self._work.step.key
        ranks = RankLogs(Path(job.log_path).parent) if is_launched(self._work.step.command) else None

        def on_line(line: str) -> None:
            last.append(line)
            if ranks:
                ranks.line(line)
            if self._symptoms:
                self._symptoms.line(line)
            self._work.listener.line(key, line)

        with self._lock:
            if self._is_canceled:
                raise StepCanceledError(f"Step {key!r} was canceled before it started.")
            self._job_id = compute.submit(job)
        try:
            return compute.wait(self._job_id, on_line)
        except BaseException:
            compute.cancel(self._job_id)
            raise
        finally:
            if ranks:
                ranks.close()


def _work_key(work: Work) -> str:
    """Return what names the work of a step: its fingerprint; that of a run by itself, where nobody else's counts."""
    if work.step.allow_reuse and not work.request.is_forced and work.request.trial is None:
        return work.record.fingerprint
    return digest_bytes(f"{work.record.fingerprint} {work.request.run.root_id}".encode())
