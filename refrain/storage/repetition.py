"""Repetition: something that is done every few seconds while something else goes on."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from refrain.errors import DataError

SECONDS = 5.0
_PAUSE_PER_SECOND = 10  # of doing it: what has become large is done less often


@contextlib.contextmanager
def repeated(act: Callable[[], None], seconds: float = SECONDS, rest: float = _PAUSE_PER_SECOND) -> Iterator[None]:
    """Call *act* in a thread every few seconds while the block runs, and never after it.

    What fails for want of a store or a disk is tried again at the next turn.

    :param seconds: from one turn to the next.
    :param rest: how many seconds it pauses at least for each that a turn has taken.
    """
    is_over = threading.Event()
    thread = threading.Thread(target=_repeat, args=(act, is_over.wait, seconds, rest), daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _repeat(act: Callable[[], None], wait: Callable[[float], bool], seconds: float, rest: float) -> None:
    pause = seconds
    while not wait(pause):
        began = time.monotonic()
        with contextlib.suppress(DataError, OSError):
            act()
        pause = max(seconds, rest * (time.monotonic() - began))
