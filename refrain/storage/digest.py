"""Digests: BLAKE3-256 of bytes and files, as 64 hexadecimal digits."""

from __future__ import annotations

import os

from blake3 import blake3

_READ_WHOLE = 256 * 1024
_USE_THREADS = 8 * 1024 * 1024


def digest_bytes(data: bytes) -> str:
    """Return the digest of *data*."""
    return blake3(data).hexdigest()


def digest_file(path: str | os.PathLike[str]) -> str:
    """Return the digest of a file's bytes; large files are memory-mapped and hashed by several threads.

    :raises OSError: when the file cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= _READ_WHOLE:
            # Read to the end rather than *size* bytes: the file may have grown since it was measured.
            return blake3(file.read()).hexdigest()
    threads = blake3.AUTO if size >= _USE_THREADS else 1
    return blake3(max_threads=threads).update_mmap(os.fspath(path)).hexdigest()


def is_digest(text: object) -> bool:
    """Say whether *text* has the form of a digest."""
    return isinstance(text, str) and len(text) == 64 and all(c in "0123456789abcdef" for c in text)
