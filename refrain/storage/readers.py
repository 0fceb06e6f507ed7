"""Readers: processes that take their shares of very many files, so that all cores read and not one.

A reader is this module in an interpreter of its own. It is asked over its standard input: two packed numbers, how many
files and how many bytes of paths, then the rows, then the paths, each with a zero byte behind. It answers with a byte
that says whether it could read them all, and then a row and a digest for each. What a reader could not read is read
again by who asked, so that one place says what is wrong. When who asked is gone, its input ends, and so does it.
"""

from __future__ import annotations

import itertools
import os
import struct
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import IO, cast

from refrain.storage.scan import ROW
from refrain.storage.small_files import File, Read, digest_files

_BATCH = 512
_ALONE = 8 * _BATCH  # reading so many takes as long as the start of a process
_MOST = 8
_HEAD = struct.Struct("<II")
_DIGEST_BYTES = 32
_PROGRAM = "import sys; sys.path[:0] = sys.argv[1:]; from refrain.storage.readers import serve; serve()"

_in_use = threading.Lock()  # one at a time: who else reads meanwhile does so alone


def digest_each(files: Iterator[File]) -> Generator[Read, None, None]:
    """Read files, and yield what was read in their order.

    What is made for each file is forgotten after a batch of them.

    :raises DataError: when one cannot be read, or changes all the time.
    """
    for _ in range(_ALONE // _BATCH):
        yield from digest_files(_share(files))
    own = _share(files)
    if not own:
        return
    with _readers() as readers:
        while own:
            asked = [(reader, share) for reader in readers if (share := _share(files))]
            for reader, share in asked:
                reader.ask(share)
            yield from digest_files(own)
            for reader, share in asked:
                yield from reader.answer(share) or digest_files(share)
            own = _share(files)


def _share(files: Iterator[File]) -> list[File]:
    return list(itertools.islice(files, _BATCH))


@contextmanager
def _readers() -> Iterator[list[_Reader]]:
    """Start a reader for each core but one; none if they are in use."""
    readers: list[_Reader] = []
    is_ours = _in_use.acquire(blocking=False)
    count = min(_cores(), _MOST) - 1 if is_ours else 0
    try:
        with suppress(OSError):  # no interpreter to run, or no more processes
            readers.extend(_Reader() for _ in range(count))
        yield readers
    finally:
        for reader in readers:
            reader.end()
        if is_ours:
            _in_use.release()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Reader:
    """A process that reads. One that does not answer, for whatever reason, is not asked again."""

    def __init__(self) -> None:
        import subprocess

        import blake3

        places = [os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))]
        places.append(os.path.dirname(os.path.dirname(blake3.__file__)))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM, *places],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for who asks
        )
        self._input, self._output = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        self._is_usable = True

    def ask(self, files: list[File]) -> None:
        """Let it begin to read."""
        paths = b"".join([os.fsencode(path) + b"\0" for path, _ in files])
        rows = b"".join([row for _, row in files])
        try:
            self._input.write(_HEAD.pack(len(files), len(paths)) + rows + paths)
            self._input.flush()
        except OSError:
            self._is_usable = False

    def answer(self, files: list[File]) -> list[Read]:
        """Wait until it has read what it was asked for; nothing when it could not."""
        if not self._is_usable or self._output.read(1) != b"\1":
            self._is_usable = self._is_usable and self._process.poll() is None
            return []
        size = ROW.size + _DIGEST_BYTES
        data = self._output.read(size * len(files))
        self._is_usable = len(data) == size * len(files)
        if not self._is_usable:
            return []
        return [(data[at : at + ROW.size], data[at + ROW.size : at + size].hex()) for at in range(0, len(data), size)]

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        with suppress(OSError):  # what it had not taken yet
            self._input.close()
        self._output.close()
        self._process.wait()


def serve() -> None:
    """Be a reader."""
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    while head := asked.read(_HEAD.size):
        count, size = _HEAD.unpack(head)
        rows = asked.read(count * ROW.size)
        paths = asked.read(size).split(b"\0")[:count]
        files = [(os.fsdecode(path), rows[at * ROW.size : (at + 1) * ROW.size]) for at, path in enumerate(paths)]
        try:
            read = digest_files(files)
        except Exception:  # noqa: BLE001  # who asked reads them again, and says what it is
            answers.write(b"\0")
        else:
            answers.write(b"\1" + b"".join([row + bytes.fromhex(digest) for row, digest in read]))
        answers.flush()
