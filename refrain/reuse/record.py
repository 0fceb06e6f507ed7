"""Reuse records: what a fingerprint led to, and the only trusted entry to an earlier result."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refrain.data.handle import DataHandle
from refrain.errors import CorruptObjectError, WorkspaceError
from refrain.reuse.mark import RecordKey, record_mark_key
from refrain.reuse.pins import Pins
from refrain.reuse.preimage import Preimage
from refrain.storage.digest import digest_bytes
from refrain.storage.objects import ObjectStore
from refrain.storage.sealed import sealed, unsealed
from refrain.values import dataclass

if TYPE_CHECKING:
    from refrain.data.models.use import ModelUse

SCHEMA = 3  # 1 had no tombstones, 2 no models
_SCHEMA_WITHOUT_MODELS = 2  # what has none is written as before, so that an earlier Refrain reads it
_MOST_REMEMBERED = 10
_FOLDER_LENGTH = 2


@dataclass(frozen=True)
class Tombstone:
    """Why a result is not used again. ``time`` is when that was decided, in seconds since the epoch.

    :param reason: the verdict of whoever asks for it from now on, see :class:`refrain.reuse.decision.Verdict`.
    :param detail: the same in words that name the output.
    """

    reason: str
    detail: str
    time: float


@dataclass(frozen=True)
class ReuseRecord:
    """One result. ``seconds`` is how long it took to make, ``created`` when, in seconds since the epoch.

    :param models: what its script was told of registered models, which has to be the same for whoever uses the result.
    :param dead: why it is not used again; None while it is. A dead one still says what a later result is compared with.
    """

    fingerprint: str
    preimage: Preimage
    outputs: Mapping[str, DataHandle]
    run_id: str
    pipeline: str
    step: str
    seconds: float
    created: float
    dead: Tombstone | None = None
    models: tuple[ModelUse, ...] = ()

    @property
    def bytes(self) -> int:
        """The sum of its outputs' sizes."""
        return sum(handle.bytes for handle in self.outputs.values())

    @property
    def made_by(self) -> str:
        """The id of the run that made the result."""
        return self.run_id


class RecordStore:
    """The ``reuse/`` part of a workspace.

    ::

    reuse/<ab>/<fingerprint>.json         the record, with a checksum of itself
    reuse/recent/<pipeline>/<step key>    fingerprints of the latest results of a step, for explaining
    reuse/pinned/<fingerprint>            which results are to stay, see :class:`refrain.reuse.pins.Pins`
    """

    def __init__(self, objects: ObjectStore, key: RecordKey | None = None) -> None:
        """Keep everything in *objects*, marked with *key*; None means the one of this process's environment."""
        self.pins = Pins(objects)
        self._objects = objects
        self._key = record_mark_key() if key is None else key

    def get(self, fingerprint: str) -> ReuseRecord | None:
        """Return the record of a fingerprint, or None when there is none.

        :raises CorruptObjectError: when it is damaged or of a newer schema.
        :raises WorkspaceError: when it cannot be read.
        """
        content = self._objects.get(record_key(fingerprint))
        return None if content is None else _parse(self._key.unmarked(content, fingerprint), fingerprint)

    def put(self, record: ReuseRecord, step_key: str) -> bool:
        """Store a record, durably and in one piece, replacing an earlier one of the same fingerprint.

        :returns: False when the earlier one is pinned and stays.
        """
        if self.pins.has(record.fingerprint) and self._is_alive(record.fingerprint):
            return False
        self._remember(record.pipeline, step_key, record.fingerprint)
        self._write(record)
        return True

    def copy(self, record: ReuseRecord) -> None:
        """Store a record of another store, which can be lost."""
        self._write(record, durable=False)

    def bury(self, record: ReuseRecord, tombstone: Tombstone) -> bool:
        """Mark a result as dead: nobody looks at its outputs again, on whichever machine, until there is a new one.

        :returns: False when the record is no longer the one under its fingerprint, or is dead already. A new record
            that is written between this look and the write is lost, which costs a run and never a wrong result.
        """
        try:
            current = self.get(record.fingerprint)
        except CorruptObjectError:
            return False  # nobody will use that one either
        if current is None or current.run_id != record.run_id or current.dead is not None:
            return False
        self._write(replace(current, dead=tombstone))
        return True

    def all(self) -> Iterator[ReuseRecord]:
        """Yield every sound record, dead ones included, in no particular order."""
        for folder in self._objects.names("reuse"):
            if len(folder) == _FOLDER_LENGTH:
                yield from self._sound(name.removesuffix(".json") for name in self._objects.names(f"reuse/{folder}"))

    def beginning_with(self, start: str) -> Iterator[ReuseRecord]:
        """Yield the sound records of fingerprints that begin with these digits, two at least."""
        names = self._objects.names(f"reuse/{start[:_FOLDER_LENGTH]}")
        yield from self._sound(name.removesuffix(".json") for name in names if name.startswith(start))

    def recent(self, pipeline: str, step_key: str) -> list[ReuseRecord]:
        """Return the latest sound records of a step, newest first, dead ones included."""
        return list(self._sound(self._remembered(pipeline, step_key)))

    def _sound(self, fingerprints: Iterable[str]) -> Iterator[ReuseRecord]:
        for fingerprint in fingerprints:
            try:
                record = self.get(fingerprint)
            except WorkspaceError:
                continue
            if record is not None:
                yield record

    def _is_alive(self, fingerprint: str) -> bool:
        """Say whether a result may be used; one that only cannot be read right now may."""
        try:
            record = self.get(fingerprint)
        except CorruptObjectError:
            return False
        except WorkspaceError:
            return True
        return record is not None and record.dead is None

    def _write(self, record: ReuseRecord, *, durable: bool = True) -> None:
        document = {
            "schema": SCHEMA if record.models else _SCHEMA_WITHOUT_MODELS,
            "fingerprint": record.fingerprint,
            "preimage": record.preimage,
            "outputs": {name: handle.to_json() for name, handle in record.outputs.items()},
            "run_id": record.run_id,
            "pipeline": record.pipeline,
            "step": record.step,
            "seconds": record.seconds,
            "created": record.created,
        }
        if record.models:
            document["models"] = [use.to_json() for use in record.models]
        if record.dead is not None:
            document["dead"] = vars(record.dead)
        payload = json.dumps(document, sort_keys=True, separators=(",", ":"))
        self._objects.put(record_key(record.fingerprint), self._key.marked(sealed(payload)), durable=durable)

    def _remember(self, pipeline: str, step_key: str, fingerprint: str) -> None:
        earlier = [f for f in self._remembered(pipeline, step_key) if f != fingerprint]
        content = json.dumps([fingerprint, *earlier][:_MOST_REMEMBERED]).encode()
        # Only explanations read it, so that losing one of two updates at once does no harm.
        self._objects.put(_recent_key(pipeline, step_key), content, durable=False)

    def _remembered(self, pipeline: str, step_key: str) -> list[str]:
        try:
            found = json.loads(self._objects.get(_recent_key(pipeline, step_key)) or b"[]")
        except (ValueError, WorkspaceError):
            return []
        return [f for f in found if isinstance(f, str)] if isinstance(found, list) else []


def record_key(fingerprint: str) -> str:
    """Return the key of a fingerprint's record."""
    return f"reuse/{fingerprint[:2]}/{fingerprint}.json"


def _recent_key(pipeline: str, step_key: str) -> str:
    return f"reuse/recent/{digest_bytes(json.dumps([pipeline, step_key]).encode())[:32]}"


def _parse(content: bytes, fingerprint: str) -> ReuseRecord:
    document = unsealed(content, f"The reuse record {fingerprint}")
    try:
        if document["schema"] > SCHEMA:
            raise CorruptObjectError(
                f"The reuse record {fingerprint} has schema {document['schema']}, this Refrain reads up to {SCHEMA}."
            )
        if document["fingerprint"] != fingerprint:
            raise CorruptObjectError(f"The reuse record {fingerprint} is that of {document['fingerprint']}.")
        outputs = {name: DataHandle.from_json(handle) for name, handle in document["outputs"].items()}
        names = ("preimage", "run_id", "pipeline", "step", "seconds", "created")
        values = {name: document[name] for name in names}
        dead = Tombstone(**document["dead"]) if "dead" in document else None
        models = _models(document["models"]) if "models" in document else ()
        return ReuseRecord(fingerprint=fingerprint, outputs=outputs, dead=dead, models=models, **values)
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptObjectError(f"The reuse record {fingerprint} cannot be read: {error!r}.") from error


def _models(documents: Iterable[Mapping[str, Any]]) -> tuple[ModelUse, ...]:
    from refrain.data.models.use import ModelUse  # here: few results are made with any

    return tuple(map(ModelUse.from_json, documents))
