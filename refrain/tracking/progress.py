"""Progress: how far a step's own work is, as events of its run, so that a page can show it."""

from __future__ import annotations

import contextlib
import os
from typing import Protocol

from refrain.runtime import events

KIND = "progress"


class Moved(Protocol):
    """What is told of a transfer: see :class:`refrain.storage.watch.Progress`."""

    @property
    def files(self) -> int:
        """Files that have arrived."""

    @property
    def all_files(self) -> int:
        """Files in all."""

    @property
    def bytes(self) -> int:
        """Bytes that have arrived."""

    @property
    def all_bytes(self) -> int:
        """Bytes in all."""

    @property
    def rate(self) -> float:
        """Bytes in a second."""


def note_progress(folder: str, moved: Moved) -> None:
    """Append an event to a run folder; a run is not lost for want of it."""
    names = ("files", "all_files", "bytes", "all_bytes", "rate")
    event = {"kind": KIND, **{name: getattr(moved, name) for name in names}}
    with contextlib.suppress(OSError):
        events.append(os.path.join(folder, "events.jsonl"), events.OWN, [event])
