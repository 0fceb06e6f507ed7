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


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let SIGTERM wait until the block is done: what ends processes must not be left in the middle."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
