"""Lookup: finds out whether there is an earlier result with a fingerprint, and whether it still holds."""

from __future__ import annotations

from dataclasses import dataclass

from refrain.data.handle import DataHandle
from refrain.errors import DataError, DataNotFoundError, WorkspaceError
from refrain.reuse.decision import Decision, Verdict
from refrain.reuse.explain import Explainer, ManifestOf, no_manifest
from refrain.reuse.preimage import Preimage, fingerprint
from refrain.reuse.record import RecordStore, ReuseRecord
from refrain.storage.state import WorkspaceState
from refrain.storage.trees import OUTPUT


@dataclass(frozen=True)
class Question:
    """What is asked: whether this step, with this preimage, may be reused.

    :param manifest_of: finds the manifest of a digest that is not stored yet, for explaining.
    """

    preimage: Preimage
    pipeline: str
    step_key: str
    allow_reuse: bool = True
    is_forced: bool = False
    manifest_of: ManifestOf = no_manifest


class Lookup:
    """Answers from a workspace's records. A miss is no error: it has reasons."""

    def __init__(self, state: WorkspaceState) -> None:
        """Ask the records of *state*."""
        self.records = RecordStore(state.objects)
        self._state = state
        self._explainer = Explainer(state.objects, state.blobs)

    def decide(self, question: Question) -> Decision:
        """Return the decision; every output of the earlier result is checked against what is stored now."""
        key = fingerprint(question.preimage)
        if question.is_forced:
            return Decision(Verdict.FORCED, key)
        if not question.allow_reuse:
            return Decision(Verdict.NOT_ALLOWED, key)
        try:
            record = self.records.get(key)
        except WorkspaceError as error:
            return Decision(Verdict.RECORD_CORRUPT, key, detail=str(error))
        if record is None:
            return self._explain_miss(question, key)
        return self._verify(record)

    def _verify(self, record: ReuseRecord) -> Decision:
        for name, handle in record.outputs.items():
            verdict, detail = self._check(name, handle)
            if verdict is not Verdict.REUSED:
                return Decision(verdict, record.fingerprint, detail=detail)
        return Decision(Verdict.REUSED, record.fingerprint, record)

    def _check(self, name: str, handle: DataHandle) -> tuple[Verdict, str]:
        place = self._state.stores.at(handle.uri)
        try:
            stored = place.identify(OUTPUT)
        except DataNotFoundError:
            return Verdict.OUTPUT_MISSING, f"output {name} is no longer at {place}"
        except DataError as error:
            return Verdict.OUTPUT_CHANGED, f"output {name}: {error}"
        if (stored.kind, stored.digest) != (handle.kind, handle.digest):
            return Verdict.OUTPUT_CHANGED, f"output {name} at {place} is not what its step wrote"
        return Verdict.REUSED, ""

    def _explain_miss(self, question: Question, key: str) -> Decision:
        earlier = self.records.recent(question.pipeline, question.step_key)
        nearest = self._explainer.nearest(question.preimage, earlier)
        if nearest is None:
            return Decision(Verdict.FIRST, key)
        changes = self._explainer.changes(nearest.preimage, question.preimage, question.manifest_of)
        return Decision(Verdict.CHANGED, key, changes=changes, nearest=nearest)
