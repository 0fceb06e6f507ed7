"""Interrupt: signals that end a run in good order the first time, and at once the second time."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STOPPING = b"\nStopping the steps that run. Interrupt again to end everything at once.\n"
_SHOW_CURSOR = b"\x1b[?25h"


class Interrupt:
    """Remembers which signal came first. ``number`` is None as long as none has."""

    number: int | None = None

    @property
    def exit_code(self) -> int:
        """The code by which shells know that a signal ended a command."""
        return 128 + (self.number or signal.SIGINT)

    def hear(self, number: int, _frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt for the first signal; leave at the second: the guard then ends the steps."""
        if self.number is not None:
            if sys.stderr.isatty():
                os.write(2, _SHOW_CURSOR)
            os._exit(128 + number)
        self.number = number
        with contextlib.suppress(OSError):
            os.write(2, _STOPPING)  # not through sys.stderr, which may be in the middle of a write
        raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Let Ctrl-C, SIGTERM and SIGHUP interrupt the main thread; what is ignored, as under nohup, stays ignored."""
    interrupt = Interrupt()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    heard = [number for number in _SIGNALS if before[number] is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, interrupt.hear)
    try:
        yield interrupt
    finally:
        for number in heard:
            signal.signal(number, before[number])
