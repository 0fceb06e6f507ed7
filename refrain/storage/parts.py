"""Parts: how a large object is cut, and the sums by which stores name what they hold.

The sizes are those of Amazon's own tools, so that the ETag of an object that was sent in parts can be computed here: it
is the MD5 of the parts' MD5s, with their number behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

from refrain.values import dataclass

PART_BYTES = 8 * 2**20
_MOST_PARTS = 10_000  # S3's limit; Azure's is 50,000 blocks


@dataclass(frozen=True)
class Part:
    """A range of an object: *index* counts from 0, *end* is the first byte that is no longer in it."""

    index: int
    start: int
    end: int

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.end - self.start


def parts_of(size: int) -> range:
    """Return where the parts of an object begin; an object of up to one part is not cut."""
    step = PART_BYTES
    while size > step * _MOST_PARTS:
        step *= 2
    return range(0, max(size, 1), step)


def part(size: int, starts: range, index: int) -> Part:
    """Return one part of an object that was cut at *starts*."""
    return Part(index, starts[index], min(starts[index] + starts.step, size))


def md5_of(data: bytes) -> str:
    """Return the MD5 of bytes, as stores tell it."""
    import hashlib

    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def etag_of(sums: Sequence[str]) -> str:
    """Return the tag that S3 gives to an object with these MD5s of its parts."""
    import hashlib

    joined = hashlib.md5(b"".join(map(bytes.fromhex, sums)), usedforsecurity=False).hexdigest()
    return f"{joined}-{len(sums)}"
