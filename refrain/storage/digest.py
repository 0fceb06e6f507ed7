"""Digests: BLAKE3-256 of bytes and files, as 64 hexadecimal digits."""

from __future__ import annotations

import os

from blake3 import blake3

_AT_ONCE = 1024 * 1024
_DIGITS = frozenset("0123456789abcdef")


def digest_bytes(data: bytes) -> str:
    """Return the digest of *data*."""
    return blake3(data).hexdigest()


def digest_file(path: str | os.PathLike[str]) -> str:
    """Return the digest of a file's bytes; see :func:`digest_and_stat`."""
    return digest_and_stat(path)[0]


def digest_and_stat(path: str | os.PathLike[str]) -> tuple[str, os.stat_result]:
    """Return the digest of a file's bytes, and what stat said of this very file after they had been read.

    A large file is read ahead by one thread while others hash. It is read and not memory-mapped: a mapped file that
    somebody truncates ends the process with SIGBUS.

    :raises OSError: when the file cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        digest = _whole(descriptor, size) if size < _AT_ONCE else _in_stream(descriptor)
        return digest, os.fstat(descriptor)
    finally:
        os.close(descriptor)


def is_digest(text: object) -> bool:
    """Say whether *text* has the form of a digest."""
    return isinstance(text, str) and len(text) == 64 and set(text) <= _DIGITS


def _whole(descriptor: int, size: int) -> str:
    data = os.read(descriptor, size + 1)
    if len(data) != size:  # it has grown or shrunk since, or the file system gave less than was asked for
        while more := os.read(descriptor, _AT_ONCE):
            data += more
    return blake3(data).hexdigest()


def _in_stream(descriptor: int) -> str:
    hasher = blake3(max_threads=blake3.AUTO)
    filled, spare = memoryview(bytearray(_AT_ONCE)), memoryview(bytearray(_AT_ONCE))
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, "read-ahead") as reader:
        count = os.readv(descriptor, [filled])
        while count:
            ahead = reader.submit(os.readv, descriptor, [spare])
            hasher.update(filled[:count])
            count = ahead.result()
            filled, spare = spare, filled
    return hasher.hexdigest()
