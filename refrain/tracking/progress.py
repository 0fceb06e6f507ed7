"""Progress: how far a step's own work is, as events of its run, so that a page can show it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Protocol

from refrain.runtime import events
from refrain.tracking.run_files import EVENTS

KIND = "progress"
_LOOKED_AT = 1 << 16  # bytes at the end of a file of events: whoever tells of progress does so every few seconds


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
        events.append(os.path.join(folder, EVENTS), events.OWN, [event])


def latest_progress(path: Path) -> dict[str, Any] | None:
    """Return the latest event of a file that tells of progress; None where there is none near its end."""
    try:
        begin = max(path.stat().st_size - _LOOKED_AT, 0)
    except OSError:
        return None
    found, _, _ = events.read(str(path), begin)
    return next((event for event in reversed(found) if event["kind"] == KIND and event["run"] == events.OWN), None)
