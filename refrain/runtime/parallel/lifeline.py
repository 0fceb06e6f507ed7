"""Lifeline: a process that ends with the one that started it."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

_SET_PARENT_DEATH_SIGNAL = 1


def die_with(parent: int) -> None:
    """Ask the kernel to end this process with its parent, where it can; one that is blocked would not notice."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before
            os._exit(70)


def unwind_on_sigterm() -> None:
    """Let the first SIGTERM raise SystemExit, so that what this process has started is ended, and ignore others."""
    signal.signal(signal.SIGTERM, _stop)


def _stop(number: int, frame: object) -> None:  # noqa: ARG001  # a signal handler's signature
    signal.signal(number, signal.SIG_IGN)  # once is enough; what is in the middle of it is killed by whoever asks again
    sys.exit(128 + number)


@contextmanager
def noted_sigterm() -> Iterator[list[int]]:
    """Only note SIGTERM while the block goes on, which looks whether one has come, and let it take effect afterwards.

    In the middle of starting or ending a process, it would leave that one, or what that has started, behind. To block
    the signal in this thread would not do: another one would take it, and Python would have it handled here.
    """
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)
        if came:
            signal.raise_signal(came[0])
