"""Digests: BLAKE3-256 of bytes and files, as 64 hexadecimal digits."""

from __future__ import annotations

import os

from blake3 import blake3

_READ_WHOLE = 256 * 1024
_CHUNK = 4 * 1024 * 1024


def digest_bytes(data: bytes) -> str:
    """Return the digest of *data*."""
    return blake3(data).hexdigest()


def digest_file(path: str | os.PathLike[str]) -> str:
    """Return the digest of a file's bytes; large files are hashed by several threads.

    They are read, not memory-mapped: a mapped file that somebody truncates ends the process with SIGBUS.

    :raises OSError: when the file cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= _READ_WHOLE:
            # Read to the end rather than *size* bytes: the file may have grown since it was measured.
            return blake3(file.read()).hexdigest()
        hasher = blake3(max_threads=blake3.AUTO)
        buffer = bytearray(min(size, _CHUNK))
        view = memoryview(buffer)
        while count := file.readinto(buffer):
            hasher.update(view[:count])
        return hasher.hexdigest()


def is_digest(text: object) -> bool:
    """Say whether *text* has the form of a digest."""
    return isinstance(text, str) and len(text) == 64 and all(c in "0123456789abcdef" for c in text)
