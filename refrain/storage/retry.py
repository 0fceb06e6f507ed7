"""Retry: calls to a remote store, tried again when the fault may pass, and many at once."""

from __future__ import annotations

import errno
import itertools
import threading
import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from refrain.errors import DataError, RefrainError

T = TypeVar("T")
R = TypeVar("R")

TRIES = 8
PARALLEL = 16
_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 5.0

# What another try cannot mend: what is not there, not allowed, not understood.
_LASTING = (
    RefrainError,
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    ImportError,
    TypeError,
    ValueError,
    AttributeError,
    NotImplementedError,
)
_LASTING_NAMES = ("NoCredentialsError", "PartialCredentialsError", "ClientAuthenticationError", "ProfileNotFound")


class TransientError(DataError):
    """What came back is not what was asked for, such as a file cut short: worth another try."""


def retried(call: Callable[[], T], sleep: Callable[[float], None] = time.sleep) -> T:
    """Return what *call* returns; faults that may pass are tried again, each time after twice as long a pause."""
    for attempt in range(TRIES - 1):
        try:
            return call()
        except Exception as error:  # every cloud library raises its own
            if is_lasting(error):
                raise
            pause = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2**attempt)
            import random

            sleep(pause * (0.5 + random.random() / 2))  # noqa: S311  # spreads retries, guards nothing
    return call()


def is_lasting(error: BaseException) -> bool:
    """Say whether another try would meet the same error."""
    if isinstance(error, TransientError):
        return False
    if isinstance(error, OSError) and error.errno in (errno.EINVAL, errno.ENOSPC):
        return True
    return isinstance(error, _LASTING) or type(error).__name__ in _LASTING_NAMES


def in_parallel(act: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Return ``act(item)`` for every item, several at once; after the first failure nothing more is begun.

    Items are drawn one by one, as there are hands for them, so that there may be very many.
    """
    drawn = iter(items)
    first = list(itertools.islice(drawn, 2))
    if len(first) < 2:
        return [act(item) for item in first]
    work = _Work(act, itertools.chain(first, drawn))
    hands = [threading.Thread(target=work.do, name=f"transfer-{number}", daemon=True) for number in range(PARALLEL)]
    for hand in hands:
        hand.start()
    try:
        for hand in hands:
            hand.join()
    except BaseException as error:  # Ctrl-C: what has been begun is waited for
        work.failures.append(error)
        for hand in hands:
            hand.join()
        raise
    if work.failures:
        raise work.failures[0]
    return [work.results[index] for index in range(len(work.results))]


class _Work(Generic[T, R]):
    """What many hands do together."""

    def __init__(self, act: Callable[[T], R], items: Iterable[T]) -> None:
        self._act = act
        self._items = enumerate(items)
        self._lock = threading.Lock()
        self.results: dict[int, R] = {}
        self.failures: list[BaseException] = []

    def do(self) -> None:
        """Take one item after the other, until there is none or one has failed."""
        try:
            while not self.failures:
                with self._lock:
                    drawn = next(self._items, None)
                if drawn is None:
                    return
                index, item = drawn
                self.results[index] = self._act(item)
        except BaseException as error:  # noqa: BLE001  # raised by whoever waits
            self.failures.append(error)
