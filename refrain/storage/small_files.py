"""Small files: their digests, and what each of them was while it was read."""

from __future__ import annotations

import time
from collections.abc import Sequence

from refrain.errors import DataError
from refrain.storage.digest import digest_and_stat
from refrain.storage.scan import ROW, fields_of, row_of

File = tuple[str, bytes]
"""An absolute path, and the row of the file there."""

Read = tuple[bytes, str]
"""The row that a file had while it was read, and its digest."""

_PROBE = 32
_THREADS = 8
_WAITING = 8.0
_TRIES = 3


def digest_files(files: Sequence[File]) -> list[Read]:
    """Read files one by one, and by several threads where the storage is slow.

    On files that are in memory threads cost more than they save, because they hand the interpreter to each other at
    every read. The first files tell: who waits for the storage spends seconds that cost no CPU.

    :raises DataError: when one cannot be read, or changes all the time.
    """
    wall, cpu = time.perf_counter(), time.thread_time()
    read = list(map(_digest, files[:_PROBE]))
    is_slow = time.perf_counter() - wall > _WAITING * (time.thread_time() - cpu)
    rest = files[_PROBE:]
    read += _by_threads(rest) if rest and is_slow else map(_digest, rest)
    return read


def _by_threads(files: Sequence[File]) -> list[Read]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_THREADS, "digest") as pool:
        return list(pool.map(_digest, files))


def _digest(file: File) -> Read:
    """Read one file and say what it was while it was read: the stat before and after must agree."""
    path, row = file
    for _ in range(_TRIES):
        before = ROW.unpack(row)
        try:
            digest, status = digest_and_stat(path, before[0])
        except OSError as error:
            raise DataError(f"Cannot read {path!r}: {error.strerror}.") from error
        if fields_of(status) == before:
            return row, digest
        row = row_of(status)
    raise DataError(f"{path!r} changes while it is being read; wait until its writer has finished.")
