"""Pins: results that are to stay. Cleaning spares them, and no later result takes their place."""

from __future__ import annotations

import json
import time

from refrain.errors import CorruptObjectError
from refrain.storage.digest import is_digest
from refrain.storage.objects import ObjectStore
from refrain.values import dataclass

SCHEMA = 1
_FOLDER = "reuse/pinned"


@dataclass(frozen=True)
class Pin:
    """One pinned result. ``created`` is in seconds since the epoch, ``note`` whatever the user wanted to remember."""

    fingerprint: str
    note: str
    created: float


class Pins:
    """The ``reuse/pinned/`` part of a workspace: one object per pin, named by its fingerprint."""

    def __init__(self, objects: ObjectStore) -> None:
        """Keep everything in *objects*."""
        self._objects = objects

    def add(self, fingerprint: str, note: str = "") -> Pin:
        """Pin the result of a fingerprint, replacing an earlier note."""
        pin = Pin(fingerprint, note, time.time())
        document = {"schema": SCHEMA, "note": note, "created": pin.created}
        self._objects.put(f"{_FOLDER}/{fingerprint}", json.dumps(document).encode())
        return pin

    def remove(self, fingerprint: str) -> bool:
        """Unpin a result, and say whether it was pinned."""
        was_pinned = self.has(fingerprint)
        self._objects.delete(f"{_FOLDER}/{fingerprint}")
        return was_pinned

    def has(self, fingerprint: str) -> bool:
        """Say whether a result is pinned; a damaged pin still is one."""
        return self._objects.exists(f"{_FOLDER}/{fingerprint}")

    def fingerprints(self) -> list[str]:
        """Return the fingerprints of all pinned results, sorted; one listing and no read."""
        return [name for name in self._objects.names(_FOLDER) if is_digest(name)]

    def get(self, fingerprint: str) -> Pin | None:
        """Return a pin, or None when there is none.

        :raises CorruptObjectError: when it is damaged or of a newer schema.
        """
        content = self._objects.get(f"{_FOLDER}/{fingerprint}")
        if content is None:
            return None
        try:
            document = json.loads(content)
            if document["schema"] > SCHEMA:
                raise CorruptObjectError(
                    f"The pin of {fingerprint} has schema {document['schema']}, this Refrain reads up to {SCHEMA}."
                )
            return Pin(fingerprint, str(document["note"]), float(document["created"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptObjectError(f"The pin of {fingerprint} is damaged; pin the result again.") from error
