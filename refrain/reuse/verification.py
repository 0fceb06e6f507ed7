"""Verification: how often the bytes of an earlier output are read again before it is reused.

That an output is there, with the sizes, times and tags that it was stored with, is checked before every reuse. What a
disk or a store has silently damaged shows in the bytes alone, so that a share of the reuses reads them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from refrain.errors import UserError
from refrain.storage.digest import digest_bytes, digest_file
from refrain.storage.manifest import Manifest
from refrain.storage.registry import Registry
from refrain.storage.store import Place
from refrain.values import dataclass

_KIND = "settings"
_NAME = "verification"
_WORDS = {"stat": 0.0, "full": 1.0}
_MOST_BYTES_SAMPLED = 256 * 1024 * 1024


@dataclass(frozen=True)
class Verification:
    """Which reuses read their outputs' bytes: a share between 0 (none, ``stat``) and 1 (all, ``full``).

    A share below 1 never reads what is on another machine or holds more than 256 MB; ``full`` reads everything.
    """

    share: float = 0.01

    @classmethod
    def parse(cls, text: str | float) -> Verification:
        """Read ``stat``, ``full`` or a number between 0 and 1.

        :raises UserError: for anything else.
        """
        try:
            share = _WORDS[text] if isinstance(text, str) and text in _WORDS else float(text)
        except (TypeError, ValueError):
            share = -1.0
        if not 0 <= share <= 1:
            raise UserError(f"Unknown verification {text!r}: give 'stat', 'full' or a share between 0 and 1.")
        return cls(share)

    def covers(self, fingerprint: str, run_id: str) -> bool:
        """Say whether this reuse in this run is one of the share: by chance, but the same whenever it is asked."""
        if self.share in (0.0, 1.0):
            return self.share == 1.0
        drawn = int(digest_bytes(f"{run_id} {fingerprint}".encode())[:8], 16)
        return drawn < self.share * 2**32

    def allows(self, place: Place, size: int) -> bool:
        """Say whether an output of *size* bytes is read when its reuse is covered."""
        return self.share == 1.0 or (place.in_place is not None and size <= _MOST_BYTES_SAMPLED)


ON_STAT = Verification(0.0)
"""Reads no bytes."""


def verification(registry: Registry) -> Verification:
    """Return the workspace's setting, one in a hundred unless it was set."""
    return registry.read(_KIND, _NAME, lambda record: Verification(float(record["share"]))) or Verification()


def set_verification(registry: Registry, value: str | float) -> None:
    """Change the workspace's setting; raises as :meth:`Verification.parse`."""
    registry.add(_KIND, _NAME, {"schema": 1, "share": Verification.parse(value).share})


def damaged_file(place: Place, manifest: Manifest) -> str | None:
    """Read every file of an output and return the path of the first whose bytes are others; None when all are sound.

    :raises DataError: when one cannot be read.
    """
    for entry in manifest.entries:
        if entry.path.endswith("/"):
            continue
        with _readable(place.below(entry.path)) as path:
            if os.path.getsize(path) != entry.size or digest_file(path) != entry.digest:
                return entry.path
    return None


@contextmanager
def _readable(place: Place) -> Iterator[Path]:
    if place.in_place is not None:
        yield place.in_place
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="refrain-verify-") as folder:
        target = Path(folder) / "file"
        place.store.get([(place.path, target)])
        yield target
