"""Files: mini-batches of the files below folders, so many in each."""

from __future__ import annotations

import errno
import os
import time
from array import array
from itertools import accumulate

from refrain.runtime.parallel.mini_batch import MiniBatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Sequence

_SEPARATOR = b"\0"  # the one byte that no path has
_LOOK_SECONDS = 0.02  # of listing at once; few files are listed by then
_LOOK_FILES = 1000  # between looks at the clock


class PathList:
    """Paths, sorted, in little memory: ten million of them are a usual case."""

    def __init__(self, paths: list[bytes]) -> None:
        paths.sort()
        self._ends = array("q", accumulate(map(len, paths)))  # without the separators, of which each has one
        self._text = _SEPARATOR.join([*paths, b""])

    def __len__(self) -> int:
        return len(self._ends)

    def part(self, start: int, stop: int) -> bytes:
        """Return some of the paths, as :func:`refrain.runtime.parallel.mini_batch.paths_of` takes them."""
        begin = self._ends[start - 1] + start if start else 0
        return self._text[begin : self._ends[stop - 1] + stop - 1]


class FileSource:
    """Mini-batches of files. Each input is cut by itself.

    Many files are listed little by little, while workers start.

    :param roots: folders, or single files.
    :raises OSError: when there is no such folder or file, or a link leads in a circle; from :meth:`look`, too.
    """

    def __init__(self, roots: Sequence[str], size: int) -> None:
        self.total: int | None = None
        self.is_over = False
        self.is_busy = True
        self._size = size
        self._lists: list[PathList] = []
        self._listing = self._list(roots)
        self._rest = self._cut()
        self.look()

    def next(self) -> MiniBatch | None:
        """Return the next mini-batch; None when there is none, or as long as the files are being listed."""
        if self.is_busy:
            return None
        task = next(self._rest, None)
        self.is_over = task is None or task.index + 1 == self.total
        return task

    def look(self) -> str:
        """Go on with the list for a moment; nothing else can be wrong."""
        ends = time.monotonic() + _LOOK_SECONDS
        for _ in self._listing:
            if time.monotonic() > ends:
                break
        return ""

    def close(self) -> None:
        """Do nothing."""

    def _list(self, roots: Sequence[str]) -> Iterator[None]:
        for root in roots:
            found: list[bytes] = []
            yield from _listed(os.fsencode(root), found)
            self._lists.append(PathList(found))
        self.total = sum(-(-len(paths) // self._size) for paths in self._lists)
        self.is_over = not self.total
        self.is_busy = False

    def _cut(self) -> Iterator[MiniBatch]:
        index = 0
        for paths in self._lists:
            for start in range(0, len(paths), self._size):
                stop = min(start + self._size, len(paths))
                yield MiniBatch(index, stop - start, {}, paths.part(start, stop))
                index += 1


class EmptySource:
    """Mini-batches without data: run() is called so often."""

    is_busy = False

    def __init__(self, count: int) -> None:
        self._given = 0
        self.total: int | None = count
        self.is_over = not count

    def next(self) -> MiniBatch | None:
        """Return the next mini-batch."""
        if self.is_over:
            return None
        task = MiniBatch(self._given, 0, {})
        self._given += 1
        self.is_over = self._given == self.total
        return task

    def look(self) -> str:
        """Return nothing: there is nothing that could be wrong."""
        return ""

    def close(self) -> None:
        """Do nothing."""


def _listed(root: bytes, found: list[bytes]) -> Iterator[None]:
    """Add the files below *root*, or *root* itself where it is a file; yield now and then."""
    if not os.path.isdir(root):
        os.stat(root)
        found.append(root)
        return
    folders: list[tuple[bytes, tuple[tuple[int, int], ...]]] = [(root, ())]
    while folders:
        folder, above = folders.pop()
        status = os.stat(folder)
        here = (status.st_dev, status.st_ino)
        if here in above:  # as one walk with two such links would never end
            raise OSError(errno.ELOOP, "This link leads back to a folder above it", os.fsdecode(folder))
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if entry.is_dir():
                    folders.append((entry.path, (*above, here)))
                else:
                    found.append(entry.path)
                if number % _LOOK_FILES == 0:
                    yield
