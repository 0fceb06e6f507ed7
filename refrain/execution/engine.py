"""Engine: the life of a step, in order. The local runner and the Airflow operators both call it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any

from refrain.compute.job import Compute, Job, JobResult, JobStatus
from refrain.data.handle import DataHandle
from refrain.environments.interpreter import InterpreterIdentity, identify
from refrain.errors import BeingMadeError, RefrainError, StepCanceledError, StepFailedError
from refrain.execution.commit import Commit
from refrain.execution.failure import TAIL_LINES, message
from refrain.execution.inputs import (
    ResolvedInput,
    provide,
    require_as_written,
    require_mounts_intact,
    require_unchanged,
    resolve,
)
from refrain.execution.listener import Listener, Phase, shielded
from refrain.execution.process_environment import command, process_environment
from refrain.execution.registration import register_outputs
from refrain.execution.request import StepRequest, StepResult
from refrain.execution.run_folder import LOG_FILE, collect, prepare
from refrain.execution.sources import Sources
from refrain.execution.stage import Stage, make_output_folders, open_stage
from refrain.execution.turn import Turn, Turns
from refrain.reuse.decision import Decision
from refrain.reuse.lookup import Lookup, Question
from refrain.reuse.preimage import Ingredients, is_secret, preimage
from refrain.reuse.record import ReuseRecord
from refrain.reuse.verification import Verification
from refrain.reuse.verification import verification as stored_verification
from refrain.steps.definition import StepDefinition
from refrain.storage.blobs import blob_key
from refrain.storage.manifest import Manifest
from refrain.storage.state import WorkspaceState
from refrain.tracking.git import git_properties
from refrain.tracking.record import RunRecord, RunStatus, RunStore
from refrain.tracking.run_files import RunFiles
from refrain.tracking.run_id import StepRunId, run_folder

_UNSOUND = "an input changed while the step ran: its result is not kept for reuse"


class Engine:
    """Runs steps of one pipeline run; safe to use from many threads."""

    def __init__(
        self,
        state: WorkspaceState,
        compute: Compute,
        listener: Listener | None = None,
        verification: Verification | None = None,
        *,
        waits: bool = True,
    ) -> None:
        """Keep results in *state*, run processes on *compute* and tell *listener* about it.

        :param verification: None means what the workspace says.
        :param waits: whether :meth:`run` waits while another run makes the same result; else it raises.
        """
        self.state = state
        self._wanted_verification = verification
        self.runs = RunStore(state)
        self.lookup = Lookup(state)
        self.sources = Sources(state)
        self._compute = compute
        self._listener = shielded(listener)
        self._jobs: dict[str, str] = {}
        self._lock = threading.Lock()
        self._is_canceled = threading.Event()
        self._turns = Turns(state, self._is_canceled, self._listener, waits=waits)
        self._interpreters: dict[str | None, InterpreterIdentity] = {}
        self._committed: set[str] = set()
        self._git_lock = threading.Lock()
        self._git: dict[str, dict[str, str]] = {}

    def decide(self, request: StepRequest) -> Decision:
        """Say whether the step would be reused, and why, without running anything.

        :raises RefrainError: when its inputs or its source cannot be read.
        """
        return self._decide(request, self._resolve(request))

    def run(self, request: StepRequest) -> StepResult:
        """Take a step through its life and return references to its outputs.

        :raises StepFailedError: when its process fails.
        :raises StepCanceledError: when it was canceled.
        :raises BeingMadeError: when another run makes the same result, and the engine does not wait.
        :raises RefrainError: when anything around it fails; in each case the run record says so and nothing
            half-written stays.
        """
        if self._is_canceled.is_set():
            raise StepCanceledError(f"Step {request.step.name!r} was canceled before it started.")
        run_id = self.runs.new_step_run(request.run.root_id, request.step.key, request.attempt)
        record = _new_record(request, run_id)
        key = request.step.key
        try:
            self._listener.entered(key, Phase.RESOLVE)
            inputs = self._resolve(request)
            self._listener.entered(key, Phase.LOOK_UP)
            with self._turns.taken(key, str(run_id), lambda: self._decide(request, inputs)) as turn:
                decision = turn.decision
                self._listener.decided(key, decision, str(run_id))
                if decision.note:
                    self._listener.noted(key, decision.note)
                record = replace(record, fingerprint=decision.fingerprint, decision=decision.to_json())
                if decision.record is not None:
                    return self._reuse(request, record, decision.record)
                self.lookup.bury(decision)
                snapshot = self.sources.digest(request.step.source)
                return self._make(request, replace(record, snapshot=snapshot), inputs, turn)
        except BeingMadeError:
            self.state.objects.drop(run_folder(str(run_id)))  # the attempt has not begun
            raise
        except BaseException as error:
            self._fail(record, error, key)
            raise

    def cancel(self) -> None:
        """Stop every running step and let no other start."""
        self._is_canceled.set()
        with self._lock:
            jobs = list(self._jobs.values())
        if jobs:
            with ThreadPoolExecutor(len(jobs), "cancel") as pool:  # at once: each may take its time to end
                list(pool.map(self._compute.cancel, jobs))

    def git_properties(self, directory: str) -> dict[str, str]:
        """Return the git properties of a source directory, asked for once, so that a whole run has the same."""
        with self._git_lock:
            if directory not in self._git:
                self._git[directory] = git_properties(directory)
            return self._git[directory]

    @cached_property
    def _verification(self) -> Verification:
        return self._wanted_verification or stored_verification(self.state.registry)

    def _resolve(self, request: StepRequest) -> dict[str, ResolvedInput]:
        step = request.step
        return {port.name: resolve(port, request.handles, self.state, step.name) for port in step.inputs}

    def _decide(self, request: StepRequest, inputs: Mapping[str, ResolvedInput]) -> Decision:
        step = request.step
        selection = self.sources.selection(step.source)
        value = preimage(
            Ingredients(
                step=step,
                snapshot=selection.digest,
                is_part=selection.part is not None,
                inputs={name: item.counted for name, item in inputs.items()},
                parameters=request.parameters,
                declared=request.declared,
                interpreter=self._interpreter(step.environment.interpreter),
                secret_key=self.state.secret_key if step.environment.variables else b"",
                # What is not known, such as a task that was marked as success by hand, is new in every run.
                predecessors=tuple(request.predecessors.get(key, request.run.root_id) for key in step.after),
            )
        )

        def manifest_of(digest: str) -> Manifest | None:
            if digest == value["snapshot"]:
                return selection.part or self.sources.manifest(step.source)
            uris = (i.handle.uri for i in inputs.values() if i.handle.digest == digest and i.is_whole)
            return next((self.state.stores.at(uri).manifest() for uri in uris), None)

        question = Question(
            value,
            request.run.pipeline,
            step.key,
            step.allow_reuse,
            request.is_forced,
            manifest_of,
            request.run.root_id,
            self._verification,
        )
        return replace(self.lookup.decide(question), note=selection.note)

    def _reuse(self, request: StepRequest, record: RunRecord, earlier: ReuseRecord) -> StepResult:
        now = time.time()
        registered = register_outputs(request.step.outputs, earlier.outputs, earlier.run_id, self.state)
        self.runs.put(
            replace(
                record,
                status=RunStatus.COMPLETED,
                started=record.created,
                ended=now,
                reused_from=earlier.run_id,
                seconds_saved=earlier.seconds,
                outputs=_references(earlier.outputs),
                registered=registered,
                properties={
                    "azureml.reusedrunid": earlier.run_id,
                    "azureml.reusednodeid": StepRunId.parse(earlier.run_id).key,
                    "azureml.reusedpipeline": StepRunId.parse(earlier.run_id).root,
                },
            )
        )
        sentence = str(record.decision["sentence"])
        self._listener.ended(request.step.key, RunStatus.COMPLETED.value, sentence)
        return StepResult(record.run_id, earlier.outputs, earlier.run_id, sentence, earlier.seconds)

    def _make(
        self, request: StepRequest, record: RunRecord, inputs: Mapping[str, ResolvedInput], turn: Turn
    ) -> StepResult:
        step = request.step
        properties = self.git_properties(step.source.directory) if step.source.directory else {}
        record = self.runs.update(
            record, status=RunStatus.PREPARING, started=time.time(), properties={"StepType": step.kind, **properties}
        )
        self._listener.entered(step.key, Phase.STAGE)
        for item in inputs.values():
            require_as_written(item, self.state, step.name)
        stage = open_stage(StepRunId.parse(record.run_id), step.outputs, self.state)
        files = self.runs.files(record.run_id)
        try:
            self.sources.restore(step.source, stage.working_directory)
            job = self._job(request, record, stage, inputs)
            make_output_folders(stage, step.outputs)
            self._listener.entered(step.key, Phase.LAUNCH)
            record = self.runs.update(record, status=RunStatus.RUNNING)
            self._launch(request, files, job, stage)
            self._listener.entered(step.key, Phase.COMMIT)
            record = self.runs.update(record, status=RunStatus.FINALIZING)
            return self._commit(request, record, stage, inputs, turn)
        finally:
            stage.remove()
            if not files.leave():
                self._listener.noted(step.key, f"its logs could not be stored with the run and stay in {files.folder}")

    def _job(self, request: StepRequest, record: RunRecord, stage: Stage, inputs: Mapping[str, ResolvedInput]) -> Job:
        step = request.step
        folder = self.runs.folder(record.run_id)
        interpreter = self._interpreter(step.environment.interpreter).path
        read = {name: provide(item, stage, self.state.stores) for name, item in inputs.items()}
        written = {name: str(path) for name, path in stage.outputs.items()}
        log_path = prepare(folder, request, record, read, written, stage)
        return Job(
            run_id=record.run_id,
            argv=command(request, interpreter, read, written),
            working_directory=str(stage.working_directory),
            environment=process_environment(request, record.run_id, folder, interpreter, {**read, **written}),
            log_path=log_path,
            secrets=tuple(text for name, text in step.environment.variables if is_secret(name, text)),
        )

    def _launch(self, request: StepRequest, files: RunFiles, job: Job, stage: Stage) -> None:
        step = request.step
        last: deque[str] = deque(maxlen=TAIL_LINES)
        with files.followed():
            result = self._run_job(job, step.key, last)
            for note in collect(str(files.folder), stage, step, self.sources.capture(step.source)):
                self._listener.noted(step.key, note)
        if self._is_canceled.is_set():
            raise StepCanceledError(f"Step {step.name!r} was canceled.")
        if result.status is not JobStatus.SUCCEEDED:
            raise StepFailedError(message(step, result, stage, files.will_be(LOG_FILE), last))

    def _run_job(self, job: Job, key: str, last: deque[str]) -> JobResult:
        def on_line(line: str) -> None:
            last.append(line)
            self._listener.line(key, line)

        with self._lock:
            if self._is_canceled.is_set():
                raise StepCanceledError(f"Step {key!r} was canceled before it started.")
            job_id = self._compute.submit(job)
            self._jobs[job.run_id] = job_id
        try:
            return self._compute.wait(job_id, on_line)
        except BaseException:
            self._compute.cancel(job_id)
            raise
        finally:
            with self._lock:
                del self._jobs[job.run_id]

    def _commit(
        self,
        request: StepRequest,
        record: RunRecord,
        stage: Stage,
        inputs: Mapping[str, ResolvedInput],
        turn: Turn,
    ) -> StepResult:
        step = request.step
        require_mounts_intact(stage, step.name)
        is_sound = self._are_unchanged(inputs.values(), step.name)
        commit = Commit(stage, step.outputs, self.state, step.name)
        try:
            outputs = commit.publish()
            if is_sound:
                self._remember_inputs(step, inputs.values())
            record = replace(record, status=RunStatus.COMPLETED, ended=time.time(), outputs=_references(outputs))
            self.runs.put(record, durable=True)
            self._committed.add(record.run_id)
        except BaseException:
            commit.take_back()
            raise
        note = self._keep(record, outputs, turn) if is_sound else _UNSOUND
        if note:
            self._listener.noted(step.key, note)
        registered = register_outputs(step.outputs, outputs, record.run_id, self.state)
        if registered:
            self.runs.update(record, registered=registered)
        self._listener.entered(step.key, Phase.PUBLISH)
        self._listener.ended(step.key, RunStatus.COMPLETED.value)
        return StepResult(record.run_id, outputs, None, str(record.decision["sentence"]))

    def _keep(self, record: RunRecord, outputs: Mapping[str, DataHandle], turn: Turn) -> str:
        """Store the reuse record of a committed step; return a remark where another result stays the one to be used."""
        if turn.is_lost:
            return "another run took over while this one gave no sign of life; its result is kept"
        ended = record.ended or record.created
        known = ReuseRecord(
            fingerprint=record.fingerprint,
            preimage=turn.decision.preimage or {},
            outputs=outputs,
            run_id=record.run_id,
            pipeline=record.pipeline,
            step=record.name,
            seconds=ended - (record.started or ended),
            created=ended,
        )
        is_kept = self.lookup.records.put(known, record.key)
        return "" if is_kept else "the pinned earlier result stays the one to be reused"

    def _are_unchanged(self, inputs: Iterable[ResolvedInput], step_name: str) -> bool:
        return min((require_unchanged(item, self.state, step_name) for item in inputs), default=True)

    def _remember_inputs(self, step: StepDefinition, inputs: Iterable[ResolvedInput]) -> None:
        """Store what a later explanation will want to name: the package list and the file lists of what counted."""
        part = self.sources.selection(step.source).part
        if part is not None:
            self.state.blobs.put_manifest(part, durable=False)
        interpreter = self._interpreter(step.environment.interpreter)
        key = blob_key(interpreter.packages_digest)
        if not self.state.objects.is_fresh(key):
            self.state.objects.put(key, interpreter.packages_text, durable=False)
        for item in inputs:
            if not item.is_ours and item.is_whole and item.handle.files:
                self.state.blobs.put_manifest(self.state.stores.at(item.handle.uri).manifest(), durable=False)

    def _fail(self, record: RunRecord, error: BaseException, key: str) -> None:
        is_canceled = self._is_canceled.is_set() or isinstance(error, (KeyboardInterrupt, StepCanceledError))
        status = RunStatus.CANCELED if is_canceled else RunStatus.FAILED
        text = str(error) if isinstance(error, RefrainError) else f"{type(error).__name__}: {error}"
        if record.run_id in self._committed:  # what failed came after the commit; the result stands
            return
        try:
            known = self.runs.get(record.run_id)
        except RefrainError:
            known = record
        known = replace(known, started=known.started or record.created, status=status, ended=time.time(), error=text)
        try:
            self.runs.put(known)
        except RefrainError:
            self._listener.noted(key, "the failure could not be recorded in the workspace")
        self._listener.ended(key, status.value, text)

    def _interpreter(self, interpreter: str | None) -> InterpreterIdentity:
        if interpreter not in self._interpreters:
            self._interpreters[interpreter] = identify(interpreter)
        return self._interpreters[interpreter]


def _new_record(request: StepRequest, run_id: StepRunId) -> RunRecord:
    return RunRecord(
        run_id=str(run_id),
        name=request.step.name,
        pipeline=request.run.pipeline,
        experiment=request.run.experiment,
        key=request.step.key,
        created=time.time(),
        parameters=dict(request.parameters),
        origin=request.run.origin,
    )


def _references(outputs: Mapping[str, DataHandle]) -> dict[str, Any]:
    return {name: handle.to_json() for name, handle in outputs.items()}
