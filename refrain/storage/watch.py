"""Watch: follows a transfer and can stop it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from refrain.errors import TransferCanceledError

_EVERY_SECONDS = 0.25


@dataclass(frozen=True)
class Progress:
    """How far a transfer is. ``moved`` are the bytes that this try has moved, without what was there already."""

    files: int
    all_files: int
    bytes: int
    all_bytes: int
    moved: int
    seconds: float

    @property
    def rate(self) -> float:
        """Bytes in a second."""
        return self.moved / self.seconds if self.seconds > 0 else 0.0

    @property
    def eta(self) -> float | None:
        """The seconds that are left at this rate; None as long as nothing is known."""
        return (self.all_bytes - self.bytes) / self.rate if self.rate else None

    @property
    def is_complete(self) -> bool:
        """Say whether everything has arrived."""
        return self.files == self.all_files


def _nothing(_progress: Progress) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Watch:
    """Who hears of a transfer's progress, several times a second and at its end, and the event that stops it."""

    hear: Callable[[Progress], None] = _nothing
    canceled: threading.Event = field(default_factory=threading.Event)

    def require_wanted(self) -> None:
        """Go on, unless the transfer is to be stopped.

        :raises TransferCanceledError: when it is.
        """
        if self.canceled.is_set():
            raise TransferCanceledError("The copy was stopped. Run it again to go on from where it was.")


class Meter:
    """Counts what one transfer has moved. Safe to use from many threads; its listener hears one thread at a time."""

    def __init__(self, watch: Watch, files: int, size: int) -> None:
        """Count up to so many files and bytes, and tell *watch*."""
        self._watch = watch
        self._all = (files, size)
        self._files = self._bytes = self._moved = 0
        self._begun = time.monotonic()
        self._told = 0.0
        self._lock = threading.Lock()

    def add(self, size: int, *, is_moved: bool = True, files: int = 0) -> None:
        """Count bytes and whole files; those that were there already are not moved."""
        with self._lock:
            self._files += files
            self._bytes += size
            self._moved += size if is_moved else 0
            now = time.monotonic()
            is_complete = self._files == self._all[0]
            if now - self._told < _EVERY_SECONDS and not is_complete:
                return
            self._told = now
            progress = Progress(self._files, self._all[0], self._bytes, self._all[1], self._moved, now - self._begun)
            self._watch.hear(progress)
