"""Files: mini-batches of the files below folders, so many in each."""

from __future__ import annotations

import os
from array import array

from refrain.runtime.parallel.mini_batch import MiniBatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Sequence

_SEPARATOR = b"\0"  # the one byte that no path has


class PathList:
    """Paths, sorted, in little memory: ten million of them are a usual case."""

    def __init__(self, root: str) -> None:
        """List the files below *root*, or *root* itself where it is a file.

        :raises FileNotFoundError: when there is nothing.
        """
        paths = sorted(_walk(os.fsencode(root)))
        self._ends = array("q")
        end = 0
        for path in paths:
            end += len(path) + 1
            self._ends.append(end)
        self._text = _SEPARATOR.join([*paths, b""])

    def __len__(self) -> int:
        return len(self._ends)

    def part(self, start: int, stop: int) -> list[str]:
        """Return some of the paths."""
        begin = self._ends[start - 1] if start else 0
        text = self._text[begin : self._ends[min(stop, len(self)) - 1] - 1]
        return [os.fsdecode(path) for path in text.split(_SEPARATOR)]


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


def _walk(root: bytes) -> Iterator[bytes]:
    if not os.path.isdir(root):
        os.stat(root)
        yield root
        return
    folders = [root]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    folders.append(entry.path)
                else:
                    yield entry.path
