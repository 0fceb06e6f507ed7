"""Digests: BLAKE3-256 of bytes and files, as 64 hexadecimal digits."""

from __future__ import annotations

import os
import re

from blake3 import blake3

_AT_ONCE = 1024 * 1024
_BLOCK = 4 * 1024 * 1024
MAPPED_BYTES = 512 * 1024 * 1024
"""From this size on, a process of its own costs less than it spares."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


def digest_bytes(data: bytes) -> str:
    """Return the digest of *data*."""
    return blake3(data).hexdigest()


def digest_file(path: str | os.PathLike[str]) -> str:
    """Return the digest of a file's bytes; see :func:`digest_and_stat`."""
    return digest_and_stat(path)[0]


def digest_and_stat(path: str | os.PathLike[str], size: int | None = None) -> tuple[str, os.stat_result]:
    """Return the digest of a file's bytes, and what stat said of this very file after they had been read.

    :param size: what it was when it was looked at, which spares another look.
    :raises OSError: when the file cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if size is None:
            size = os.fstat(descriptor).st_size
        if size < _AT_ONCE:
            data = os.read(descriptor, size + 1)
            if len(data) == size:  # else it is another now, or the file system gave less than was asked for
                return blake3(data).hexdigest(), os.fstat(descriptor)
            os.lseek(descriptor, 0, os.SEEK_SET)
        return _large(descriptor, size), os.fstat(descriptor)
    finally:
        os.close(descriptor)


def is_digest(text: object) -> bool:
    """Say whether *text* has the form of a digest."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def _large(descriptor: int, size: int) -> str:
    if size < MAPPED_BYTES:
        return _in_stream(descriptor)
    from refrain.storage.mapped import digest_mapped, is_in_memory

    digest = digest_mapped(descriptor) if is_in_memory(descriptor, size) else None
    return _in_stream(descriptor) if digest is None else digest


def _in_stream(descriptor: int) -> str:
    """Read block by block, the kernel one block ahead: a thread that did so would compete with those that hash."""
    hasher = blake3(max_threads=blake3.AUTO)
    block = memoryview(bytearray(_BLOCK))
    position = 0
    while count := os.readv(descriptor, [block]):
        position += count
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, position, _BLOCK, os.POSIX_FADV_WILLNEED)
        hasher.update(block[:count])
    return hasher.hexdigest()
