"""Files: mini-batches of the files below folders, so many in each."""

from __future__ import annotations

import os
from array import array
from itertools import accumulate

from refrain.runtime.parallel.mini_batch import MiniBatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Sequence

_SEPARATOR = "\0"  # the one byte that no path has


class PathList:
    """Paths, sorted, in little memory: ten million of them are a usual case."""

    def __init__(self, root: str) -> None:
        """List the files below *root*, or *root* itself where it is a file.

        :raises FileNotFoundError: when there is nothing.
        """
        paths = sorted(_listed(os.fsencode(root)))
        self._ends = array("q", accumulate(map(len, paths)))  # without the separators, of which each has one
        self._text = _SEPARATOR.encode().join([*paths, b""])

    def __len__(self) -> int:
        return len(self._ends)

    def part(self, start: int, stop: int) -> list[str]:
        """Return some of the paths."""
        stop = min(stop, len(self))
        begin = self._ends[start - 1] + start if start else 0
        return os.fsdecode(self._text[begin : self._ends[stop - 1] + stop - 1]).split(_SEPARATOR)


class FileSource:
    """Mini-batches of files. Each input is cut by itself."""

    def __init__(self, roots: Sequence[str], size: int) -> None:
        self._lists = [PathList(root) for root in roots]
        self._size = size
        self._rest = self._cut()
        count = sum(-(-len(paths) // size) for paths in self._lists)
        self.total: int | None = count
        self._last = count - 1
        self.is_over = not count

    def next(self) -> MiniBatch | None:
        """Return the next mini-batch."""
        task = next(self._rest, None)
        self.is_over = task is None or task.index == self._last
        return task

    def look(self) -> str:
        """Return nothing: what could be wrong would have been found when the files were listed."""
        return ""

    def close(self) -> None:
        """Do nothing."""

    def _cut(self) -> Iterator[MiniBatch]:
        index = 0
        for paths in self._lists:
            for start in range(0, len(paths), self._size):
                files = paths.part(start, start + self._size)
                yield MiniBatch(index, len(files), {"files": files})
                index += 1


class EmptySource:
    """Mini-batches without data: run() is called so often."""

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


def _listed(root: bytes) -> list[bytes]:
    if not os.path.isdir(root):
        os.stat(root)
        return [root]
    folders: list[bytes] = [root]
    found: list[bytes] = []
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                (folders if entry.is_dir() else found).append(entry.path)
    return found
