"""Engine: the life of a step, in order. The local runner and the Airflow operators both call it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

from refrain.compute.computes import Computes
from refrain.data.handle import DataHandle
from refrain.errors import BeingMadeError, RefrainError, StepCanceledError, SuspendedError, WorkspaceError
from refrain.execution.asked import Asked, new_record, references, reused_record
from refrain.execution.binding import bound
from refrain.execution.body import Body, Work, body_for
from refrain.execution.foreign import foreign, interpreter_of, is_as_counted
from refrain.execution.inputs import ResolvedInput, require_as_written, require_filled, require_unchanged, resolve
from refrain.execution.lineage import Holders, lineage
from refrain.execution.listener import Listener, Phase, shielded
from refrain.execution.packages import keep_packages
from refrain.execution.registration import register_outputs, require_registrable
from refrain.execution.request import StepRequest, StepResult
from refrain.execution.sources import Sources
from refrain.execution.turn import Turn, Turns
from refrain.execution.used_models import UsedModels, of_script
from refrain.reuse.decision import Decision
from refrain.reuse.lookup import Lookup, Question
from refrain.reuse.preimage import Ingredients, preimage
from refrain.reuse.record import ReuseRecord
from refrain.reuse.verification import Verification
from refrain.reuse.verification import verification as stored_verification
from refrain.steps.definition import StepDefinition
from refrain.storage.manifest import Manifest
from refrain.storage.state import WorkspaceState
from refrain.tracking.git import git_properties
from refrain.tracking.notes import Notes
from refrain.tracking.record import RunRecord, RunStatus, RunStore
from refrain.tracking.run_id import StepRunId, run_folder

_DEBUGGED = "a debugger can change what comes of a step: its result is not kept for reuse"
_UNSOUND = "an input or the environment changed while the step ran: its result is not kept for reuse"


class Engine:
    """Runs steps of one pipeline run; safe to use from many threads."""

    def __init__(
        self,
        state: WorkspaceState,
        listener: Listener | None = None,
        verification: Verification | None = None,
        *,
        computes: Computes | None = None,
        waits: bool = True,
        gathers: bool = False,
    ) -> None:
        """Keep results in *state* and tell *listener* about it.

        :param computes: where steps run; None means the workspace's compute targets.
        :param verification: None means what the workspace says.
        :param waits: whether :meth:`run` waits while another run makes the same result; else it raises.
        :param gathers: whether the records of reused steps may be held back for a moment, to be written together;
            whoever runs the steps then calls :meth:`flush` at the end.
        """
        self.state = state
        self._wanted_verification = verification
        self.runs = RunStore(state)
        self.lookup = Lookup(state)
        self.sources = Sources(state)
        self._computes = computes or Computes(state)
        self._listener = shielded(listener)
        self._bodies: dict[str, Body] = {}
        self._lock = threading.Lock()
        self._is_canceled = threading.Event()
        self._turns = Turns(state, self._is_canceled, self._listener, waits=waits)
        self._committed: set[str] = set()
        self._holders = Holders(state.stores)
        self._gathers = gathers
        self._notes: dict[str, Notes] = {}
        self._git_lock = threading.Lock()
        self._git: dict[str, dict[str, str]] = {}

    def ask(self, request: StepRequest) -> Asked:
        """Find out whether the step would be reused, and why, without running or writing anything.

        :raises RefrainError: when its inputs or its source cannot be read.
        """
        began, key = time.time(), request.step.key
        self._listener.entered(key, Phase.RESOLVE)
        request = bound(request, self.state)
        step = request.step
        inputs = {port.name: resolve(port, request.handles, self.state, step.name) for port in step.inputs}
        self._listener.entered(key, Phase.LOOK_UP)
        return Asked(request, inputs, self._decide(request, inputs), began)

    def run(self, request: StepRequest, asked: Asked | None = None) -> StepResult:
        """Take a step through its life and return references to its outputs.

        :param asked: what :meth:`ask` just said of the request; None to ask.
        :raises StepFailedError: when its process fails.
        :raises StepCanceledError: when it was canceled.
        :raises BeingMadeError: when another run makes the same result, and the engine does not wait.
        :raises SuspendedError: when the request allows it, and the step's job goes on elsewhere.
        :raises RefrainError: when anything around it fails; in each case the run record says so and nothing
            half-written stays.
        """
        if self._is_canceled.is_set():
            raise StepCanceledError(f"Step {request.step.name!r} was canceled before it started.")
        record = request.resumes
        try:
            asked = asked or self.ask(request)
            if record is None:
                if asked.decision.is_reused:
                    return self.reuse(asked)
                record = self._begun(request, fingerprint=asked.decision.fingerprint, decision=asked.decision.to_json())
            return self._run_in_turn(asked, record)
        except BeingMadeError:
            if record is not None and request.resumes is None:
                self.state.objects.drop(run_folder(record.run_id))  # the attempt has not begun
            raise
        except SuspendedError:
            raise
        except BaseException as error:
            self._fail(record or self._begun(request), error, request.step.key)
            raise

    def reuse(self, asked: Asked) -> StepResult:
        """Let the earlier result that :meth:`ask` found stand for the step.

        :raises ValueError: when it found none.
        :raises RefrainError: when the run record cannot be written.
        """
        step = asked.request.step
        if asked.decision.record is None:
            raise ValueError(f"Step {step.name!r} has no earlier result to reuse: it {asked.decision.sentence()}.")
        notes = self._notes_of(asked.request)
        return self._reuse(asked, asked.decision.record, notes.new_run_id(step.key, asked.request.attempt))

    def flush(self) -> None:
        """Write what an engine that gathers has held back; also done before any step starts to work.

        :raises WorkspaceError: when it cannot be written.
        """
        for notes in list(self._notes.values()):
            notes.flush()

    def cancel(self) -> None:
        """Stop every running step and let no other start."""
        self._is_canceled.set()
        with self._lock:
            bodies = list(self._bodies.values())
        acts = [self._computes.interrupt, *(body.cancel for body in bodies)]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(acts), "cancel") as pool:  # at once: each may take its time to end
            list(pool.map(lambda act: act(), acts))

    def git_properties(self, directory: str) -> dict[str, str]:
        """Return the git properties of a source directory, asked for once, so that a whole run has the same."""
        with self._git_lock:
            if directory not in self._git:
                self._git[directory] = git_properties(directory)
            return self._git[directory]

    @cached_property
    def _verification(self) -> Verification:
        return self._wanted_verification or stored_verification(self.state.registry)

    def _decide(self, request: StepRequest, inputs: Mapping[str, ResolvedInput]) -> Decision:
        step = request.step
        selection, interpreter = self.sources.selection(step.source), interpreter_of(step, self._computes)
        value = preimage(
            Ingredients(
                step=step,
                snapshot=selection.digest,
                is_part=selection.part is not None,
                inputs={name: item.counted for name, item in inputs.items()},
                parameters=request.parameters,
                declared=request.declared,
                interpreter=interpreter,
                secret_key=self.state.secret_key if step.environment.variables else b"",
                # What is not known, such as a task that was marked as success by hand, is new in every run.
                predecessors=tuple(request.predecessors.get(key, request.run.root_id) for key in step.after),
                foreign=foreign(step, self._computes),
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
            interpreter.packages_text,
        )
        decision = self.lookup.decide(question)
        return replace(decision, note=selection.note) if selection.note else decision

    def _run_in_turn(self, asked: Asked, record: RunRecord) -> StepResult:
        request, inputs, key = asked.request, asked.inputs, asked.request.step.key
        taken = self._turns.taken(
            key, record.run_id, asked.decision, lambda: self._decide(request, inputs), expired=request.expired
        )
        with taken as turn:
            decision = turn.decision
            if decision.record is not None:
                return self._reuse(replace(asked, decision=decision), decision.record, StepRunId.parse(record.run_id))
            self._tell(key, decision, record.run_id)
            self.lookup.bury(decision)
            snapshot = self.sources.digest(request.step.source)
            record = replace(record, snapshot=snapshot, fingerprint=decision.fingerprint, decision=decision.to_json())
            return self._make(request, record, inputs, turn)

    def _tell(self, key: str, decision: Decision, run_id: str) -> None:
        self._listener.decided(key, decision, run_id)
        if decision.note:
            self._listener.noted(key, decision.note)

    def _reuse(self, asked: Asked, earlier: ReuseRecord, run_id: StepRunId) -> StepResult:
        step, sentence = asked.request.step, asked.decision.sentence()
        self._tell(step.key, asked.decision, str(run_id))
        registered = register_outputs(step.outputs, earlier.outputs, earlier.run_id, self.state)
        record = reused_record(asked, earlier, run_id, registered, self._holders)
        if asked.request.resumes is None:
            self._notes_of(asked.request).add(record)
        else:  # its own record is there
            self.runs.put(record)
        self._listener.ended(step.key, RunStatus.COMPLETED.value, sentence)
        return StepResult(record.run_id, earlier.outputs, earlier.run_id, sentence, earlier.seconds)

    def _notes_of(self, request: StepRequest) -> Notes:
        root = request.run.root_id
        return self._notes.get(root) or self._notes.setdefault(root, Notes(self.runs, root, are_held=self._gathers))

    def _begun(self, request: StepRequest, **known: Any) -> RunRecord:
        run_id = self.runs.new_step_run(request.run.root_id, request.step.key, request.attempt)
        return new_record(request, run_id, **known)

    def _make(
        self, request: StepRequest, record: RunRecord, inputs: Mapping[str, ResolvedInput], turn: Turn
    ) -> StepResult:
        step = request.step
        self.flush()  # what is made from now on may be made of what was reused
        require_registrable(step, self.state)
        properties = keep_packages(interpreter_of(step, self._computes), self.state)
        properties |= self.git_properties(step.source.directory) if step.source.directory else {}
        record = self.runs.update(
            record,
            status=RunStatus.PREPARING,
            started=record.started or time.time(),
            properties={"StepType": step.kind, **properties},
        )
        self._listener.entered(step.key, Phase.STAGE)
        for item in inputs.values():
            require_as_written(item, self.state, step.name)
            require_filled(item, self.state, step.name)
            if item.remark:
                self._listener.noted(step.key, item.remark)
        work = self._work(request, record, inputs)
        body, models = body_for(work), work.models
        files = self.runs.files(record.run_id)
        try:
            body.prepare()
            self._listener.entered(step.key, Phase.LAUNCH)
            record = self.runs.update(record, status=RunStatus.RUNNING)
            with models.noted(self.runs, record), self._cancelable(record.run_id, body), files.followed():
                body.perform()
            self._listener.entered(step.key, Phase.COMMIT)
            record = self.runs.update(record, status=RunStatus.FINALIZING, models=models.to_json())
            return self._commit(request, record, body, inputs, turn)
        finally:
            body.close()
            if not files.leave():
                self._listener.noted(step.key, f"its logs could not be stored with the run and stay in {files.folder}")

    def _work(self, request: StepRequest, record: RunRecord, inputs: Mapping[str, ResolvedInput]) -> Work:
        return Work(
            request=request,
            record=record,
            files=self.runs.files(record.run_id),
            inputs=inputs,
            state=self.state,
            sources=self.sources,
            computes=self._computes,
            listener=self._listener,
            models=UsedModels(inputs.values()),
        )

    @contextmanager
    def _cancelable(self, run_id: str, body: Body) -> Iterator[None]:
        with self._lock:
            if self._is_canceled.is_set():
                raise StepCanceledError("The step was canceled before it started.")
            self._bodies[run_id] = body
        try:
            yield
        finally:
            with self._lock:
                del self._bodies[run_id]

    def _commit(
        self,
        request: StepRequest,
        record: RunRecord,
        body: Body,
        inputs: Mapping[str, ResolvedInput],
        turn: Turn,
    ) -> StepResult:
        step = request.step
        is_sound = self._are_unchanged(inputs.values(), step.name)
        is_sound &= is_as_counted(turn.decision.preimage, step, self._computes)
        try:
            outputs = body.publish()
            datasets = lineage(step, inputs.values(), outputs, self._holders)
            made, ended = references(outputs), time.time()
            record = replace(record, status=RunStatus.COMPLETED, ended=ended, outputs=made, datasets=datasets)
            self.runs.put(record, durable=True)
            self._committed.add(record.run_id)
        except BaseException:
            body.take_back()
            raise
        if is_sound:
            with suppress(RefrainError):  # nothing but an explanation needs them
                self._remember_inputs(step, inputs.values())
        note = _DEBUGGED if request.is_debugged else self._keep(record, outputs, turn) if is_sound else _UNSOUND
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
            models=of_script(record.models),
        )
        try:
            if turn.is_lost:
                return "another run took over while this one gave no sign of life; its result is kept"
            is_kept = self.lookup.records.put(known, record.key)
        except WorkspaceError as error:  # the result stands all the same
            return f"its result is not kept for reuse: {error}"
        return "" if is_kept else "the pinned earlier result stays the one to be reused"

    def _are_unchanged(self, inputs: Iterable[ResolvedInput], step_name: str) -> bool:
        return min((require_unchanged(item, self.state, step_name) for item in inputs), default=True)

    def _remember_inputs(self, step: StepDefinition, inputs: Iterable[ResolvedInput]) -> None:
        """Store what a later explanation will want to name: the file lists of what counted."""
        part = self.sources.selection(step.source).part
        if part is not None:
            self.state.blobs.put_manifest(part, durable=False)
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
