"""Lookup: finds out whether there is an earlier result with a fingerprint, and whether it still holds."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import chain

from refrain.data.handle import DataHandle
from refrain.data.ports import OutputKind
from refrain.errors import CorruptObjectError, DataNotFoundError, RefrainError, WorkspaceError
from refrain.reuse.decision import Check, Decision, Verdict
from refrain.reuse.explain import Explainer, ManifestOf, no_manifest
from refrain.reuse.looks import Looks
from refrain.reuse.preimage import Preimage, fingerprint
from refrain.reuse.record import RecordStore, ReuseRecord, Tombstone
from refrain.reuse.verification import ON_STAT, Verification, damaged_file
from refrain.storage.manifest import Basis
from refrain.storage.state import WorkspaceState
from refrain.storage.store import Place
from refrain.values import dataclass

_SOUND = (Verdict.REUSED, "")
_VERDICTS = {verdict.value: verdict for verdict in Verdict}
_LOST = (Verdict.OUTPUT_MISSING, Verdict.OUTPUT_CHANGED)


@dataclass(frozen=True)
class Question:
    """What is asked: whether this step, with this preimage, may be reused.

    :param manifest_of: finds the manifest of a digest that is not stored yet, for explaining.
    :param packages: the list of the packages that count, which may not be stored yet either.
    :param run_id: of the pipeline run that asks; decides which reuses of a sample are verified.
    """

    preimage: Preimage
    pipeline: str
    step_key: str
    allow_reuse: bool = True
    is_forced: bool = False
    manifest_of: ManifestOf = no_manifest
    run_id: str = ""
    verification: Verification = ON_STAT
    packages: bytes = b""


class Lookup:
    """Answers from a workspace's records. A miss is no error: it has reasons."""

    def __init__(self, state: WorkspaceState) -> None:
        """Ask the records of *state*."""
        self.records = RecordStore(state.objects)
        self._copies = None if state.copies is None else RecordStore(state.copies)
        self._state = state
        self._explainer = Explainer(state.objects, state.blobs)

    def decide(self, question: Question) -> Decision:
        """Return the decision; every output of the earlier result is checked against what is stored now.

        Nothing is written: whoever goes on to run the step calls :meth:`bury`.
        """
        key, now = fingerprint(question.preimage), question.preimage
        if question.is_forced:
            return Decision(Verdict.FORCED, key, preimage=now)
        if not question.allow_reuse:
            return Decision(Verdict.NOT_ALLOWED, key, preimage=now)
        with contextlib.closing(Looks(self._state.stores)) as looks:
            copy = self._copy(key)
            looks.begin(copy.outputs.values() if copy is not None else ())
            try:
                record = self.records.get(key)
            except WorkspaceError as error:
                return Decision(Verdict.RECORD_CORRUPT, key, detail=str(error), preimage=now)
            if record is None:
                return self._explain_miss(question, key)
            if record.dead is not None:
                verdict = _VERDICTS.get(record.dead.reason, Verdict.FORGOTTEN)
                return Decision(verdict, key, detail=_found(record.dead), preimage=now, nearest=record)
            decision = self._verified(record, question, looks)
        if decision.is_reused and record != copy:
            self._keep_copy(record)
        return decision

    def bury(self, decision: Decision) -> bool:
        """Mark the result that a decision found wanting as dead, so that no other machine looks at it again.

        One that merely could not be read stays: it may be sound. Say whether one was marked.

        :raises WorkspaceError: when the mark cannot be written.
        """
        if not decision.is_lost or decision.nearest is None:
            return False
        return self.records.bury(decision.nearest, Tombstone(decision.verdict.value, decision.detail, time.time()))

    def nearest(self, question: Question) -> ReuseRecord | None:
        """Return the earlier result of the step that differs in the fewest places, if there is one."""
        return self._explainer.nearest(question.preimage, self.records.recent(question.pipeline, question.step_key))

    def recall(self, fingerprint: str) -> ReuseRecord | None:
        """Return the earlier result of a fingerprint, dead or alive and unchecked; None without a sound record."""
        try:
            return self.records.get(fingerprint)
        except WorkspaceError:
            return None

    def _copy(self, fingerprint: str) -> ReuseRecord | None:
        """Return a record as this machine last saw it, so that its outputs can be looked at while it is on its way.

        What is seen counts only for outputs that the record itself then names in the same words.
        """
        with contextlib.suppress(WorkspaceError):
            return None if self._copies is None else self._copies.get(fingerprint)
        return None

    def _keep_copy(self, record: ReuseRecord) -> None:
        with contextlib.suppress(WorkspaceError):  # without it the next decision takes longer
            if self._copies is not None:
                self._copies.copy(record)

    def _verified(self, record: ReuseRecord, question: Question, looks: Looks) -> Decision:
        key, is_read = record.fingerprint, question.verification.covers(record.fingerprint, question.run_id)
        looks.begin(record.outputs.values())
        void = self._why_void(record)
        if void:
            return Decision(Verdict.MODEL_CHANGED, key, detail=void, preimage=question.preimage, nearest=record)
        verification = question.verification if is_read else None
        stored = (self._check(name, handle, looks, verification) for name, handle in record.outputs.items())
        for verdict, detail in chain(stored, self._check_links(record, question)):
            if verdict is not Verdict.REUSED:
                is_lost = verdict in _LOST
                return Decision(
                    verdict, key, detail=detail, preimage=question.preimage, nearest=record, is_lost=is_lost
                )
        check = Check.CONTENT if is_read and record.outputs else Check.STAT
        return Decision(Verdict.REUSED, key, record, preimage=question.preimage, check=check)

    def _why_void(self, record: ReuseRecord) -> str:
        """Say why somebody who made the result now would be told something else of registered models."""
        if not record.models:
            return ""
        from refrain.data.models.record import ModelVersions  # here: few results are made with any

        versions = ModelVersions(self._state.registry)
        return next(filter(None, (use.why_void(versions) for use in record.models)), "")

    def _check_links(self, record: ReuseRecord, question: Question) -> Iterator[tuple[Verdict, str]]:
        """Yield what a script linked that is not there any more, so that it has to choose again."""
        for name, port in question.preimage["outputs"].items():
            if OutputKind(port["kind"]).linked:
                from refrain.reuse.linked import lost_place  # here: few steps link

                place = lost_place(record.outputs[name], self._state.stores)
                if place is not None:
                    yield Verdict.OUTPUT_MISSING, f"output {name} links what is no longer at {place}"

    def _check(
        self, name: str, handle: DataHandle, looks: Looks, verification: Verification | None
    ) -> tuple[Verdict, str]:
        try:
            place = self._state.stores.at(handle.uri)
            stored = looks.at(place, handle)
            if (stored.kind, stored.digest) != (handle.kind, handle.digest):
                return Verdict.OUTPUT_CHANGED, f"output {name} at {place} is not what its step wrote"
            if verification is not None and verification.allows(place, handle.bytes):
                return self._read(name, place, handle)
        except DataNotFoundError:
            return Verdict.OUTPUT_MISSING, f"output {name} is no longer at {place}"
        except RefrainError as error:  # also where this machine knows no such place
            return Verdict.OUTPUT_UNREADABLE, f"output {name}: {error}"
        return _SOUND

    def _read(self, name: str, place: Place, handle: DataHandle) -> tuple[Verdict, str]:
        try:
            manifest = self._state.blobs.get_manifest(handle.digest)
        except CorruptObjectError:
            manifest = None
        if manifest is None:
            return Verdict.OUTPUT_UNREADABLE, f"output {name}: the list of its files is gone, so nobody can verify it"
        if manifest.basis is Basis.LISTING:  # there is nothing to know beyond what was compared already
            return _SOUND
        file = damaged_file(place, manifest)
        if file is None:
            return _SOUND
        damaged = f"{place}/{file}" if file else str(place)
        return Verdict.OUTPUT_CHANGED, f"output {name}: {damaged} does not hold the bytes that its step wrote"

    def _explain_miss(self, question: Question, key: str) -> Decision:
        nearest = self.nearest(question)
        if nearest is None:
            return Decision(Verdict.FIRST, key, preimage=question.preimage)
        changes = self._explainer.changes(nearest.preimage, question.preimage, question.manifest_of, question.packages)
        return Decision(Verdict.CHANGED, key, changes=changes, preimage=question.preimage, nearest=nearest)


def _found(tombstone: Tombstone) -> str:
    moment = datetime.fromtimestamp(tombstone.time, timezone.utc)
    return f"{tombstone.detail} (noticed on {moment:%Y-%m-%d %H:%M} UTC)"
