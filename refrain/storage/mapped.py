"""Mapped: the digest of a large file that is in memory already, by a process that may die of it.

A memory map spares copying each byte, but a mapped file that somebody truncates ends its process with SIGBUS. So the
map is in a process of its own: this file, run by its path, with what is to be hashed as its standard input.
"""

from __future__ import annotations

import mmap
import os
import resource
import subprocess
import sys

_SAMPLES = 64
_WINDOW = 64 * 1024 * 1024  # what is mapped counts as memory of the process


def digest_mapped(descriptor: int) -> str | None:
    """Return the digest of an open file; None where it cannot be had in this way, and reading the file tells why."""
    import blake3

    folder = os.path.dirname(os.path.dirname(blake3.__file__))
    command = [sys.executable, "-I", "-S", __file__, folder]
    try:
        done = subprocess.run(command, stdin=descriptor, capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout.decode() if done.returncode == 0 else None


def is_in_memory(descriptor: int, size: int) -> bool:
    """Say whether a file seems to be in the page cache; what is not comes faster when it is read in order."""
    without_waiting = getattr(os, "RWF_NOWAIT", None)  # Linux alone can tell
    if without_waiting is None:
        return False
    try:
        return all(
            os.preadv(descriptor, [bytearray(1)], size * sample // _SAMPLES, without_waiting)
            for sample in range(_SAMPLES)
        )
    except OSError:  # it would have to wait, or this file system cannot say
        return False


def _main(folder: str) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    sys.path.append(folder)
    from blake3 import blake3

    descriptor = sys.stdin.fileno()
    size = os.fstat(descriptor).st_size
    hasher = blake3(max_threads=blake3.AUTO)
    for start in range(0, size, _WINDOW):
        with mmap.mmap(descriptor, min(_WINDOW, size - start), offset=start, access=mmap.ACCESS_READ) as window:
            hasher.update(window)
    sys.stdout.write(hasher.hexdigest())


if __name__ == "__main__":
    _main(sys.argv[1])
