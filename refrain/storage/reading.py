"""Reading: an object of a remote store as a file, of which only what is asked for is fetched."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from refrain.storage.retry import TransientError

BLOCK = 4 << 20
"""How many bytes a reader that goes from the beginning to the end fetches at once."""


class RemoteFile(io.RawIOBase):
    """A file whose bytes come by ranges; one request for each read.

    :param name: what messages call it.
    :param fetch: returns the bytes from a begin up to an end, tried again when a fault may pass.
    :param require_same: raises when the object is no longer the one whose size is known.
    """

    def __init__(
        self, name: str, size: int, fetch: Callable[[int, int], bytes], require_same: Callable[[], None]
    ) -> None:
        self.name = name
        self._size = size
        self._fetch = fetch
        self._require_same = require_same
        self._position = 0
        self._requests = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position, and return it; nothing is fetched."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the file goes, and return how many bytes that are."""
        end = min(self._position + len(buffer), self._size)
        if self.closed or end <= self._position:
            return 0
        data = self._fetch(self._position, end)
        self._requests += 1
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def readall(self) -> bytes:
        """Return all that is left, in one request."""
        return self.read(max(0, self._size - self._position)) or b""

    def close(self) -> None:
        """Close the file.

        :raises DataError: when what was read in several requests is not of one object.
        """
        if not self.closed:
            super().close()
            if self._requests > 1:
                self._require_same()


def fetched(fs: Any, path: str, size: int, begin: int, end: int) -> bytes:
    """Return a range of an object's bytes.

    :raises TransientError: when another number of bytes comes.
    """
    if "http" in fs.protocol:
        # Not cat_file: a server that knows no ranges would have it take the whole file into memory.
        with fs.open(path, "rb", cache_type="none", size=size) as file:
            file.seek(begin)
            data = bytes(file.read(end - begin))
    else:
        data = fs.cat_file(path, start=begin, end=end)
    if len(data) != end - begin:
        raise TransientError(f"Cannot read {path}: {len(data)} bytes came instead of {end - begin}.")
    return data
