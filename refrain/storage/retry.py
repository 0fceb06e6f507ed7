"""Retry: calls to a remote store, tried again when the fault may pass, and many at once."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from refrain.errors import DataError, RefrainError

T = TypeVar("T")
R = TypeVar("R")

TRIES = 6
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
    """Return ``act(item)`` for every item, several at once; after the first failure nothing more is begun."""
    waiting = list(items)
    if len(waiting) <= 1:
        return [act(item) for item in waiting]
    with ThreadPoolExecutor(min(PARALLEL, len(waiting)), "transfer") as pool:
        futures = [pool.submit(act, item) for item in waiting]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
