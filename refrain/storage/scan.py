"""Scan: walk a tree and name every file in it, refusing what cannot be stored."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from refrain.errors import DataError

Keep = Callable[[str, bool], bool]
"""Decides by relative path and ``is_directory`` whether an entry belongs to the tree."""


class Links(Enum):
    """What a symbolic link inside a tree means."""

    FOLLOW = "follow"  # sources and datasets: the target's bytes count, wherever it is
    INSIDE = "inside"  # outputs: a link out of the tree would be a result that others can change


@dataclass(frozen=True, slots=True)
class Found:
    """One file, or one empty directory (``path`` ends with ``/``), and what stat says of it."""

    path: str
    absolute: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int
    executable: bool

    @property
    def is_directory(self) -> bool:
        """Say whether this is an empty directory."""
        return self.path.endswith("/")


def found(path: str, absolute: str, status: os.stat_result) -> Found:
    """Make a :class:`Found` of what stat answered."""
    return Found(
        path,
        absolute,
        0 if path.endswith("/") else status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        status.st_dev,
        bool(status.st_mode & 0o100),
    )


def scan(root: str, keep: Keep | None = None, links: Links = Links.FOLLOW) -> Iterator[Found]:
    """Yield the files of the directory *root*, in no particular order.

    A directory that *keep* refuses is not entered. Linked directories are followed; a link back to a folder above
    it is an error, not an endless walk.

    :raises DataError: a special file (FIFO, socket, device), a dangling or looping link, an unreadable directory,
        or, with :attr:`Links.INSIDE`, a link that leaves the tree.
    """
    yield from _scan(root, "", keep, links, os.path.realpath(root), ())


def _scan(
    folder: str, prefix: str, keep: Keep | None, links: Links, top: str, above: tuple[tuple[int, int], ...]
) -> Iterator[Found]:
    try:
        with os.scandir(folder) as listing:
            entries = list(listing)
    except OSError as error:
        raise DataError(f"Cannot list the directory {folder!r}: {error.strerror}.") from error
    is_empty = True
    for entry in entries:
        path = prefix + entry.name
        is_directory = entry.is_dir()
        if keep is not None and not keep(path, is_directory):
            continue
        is_empty = False
        status = _status(entry, links, top)
        if is_directory:
            here = (status.st_dev, status.st_ino)
            if here in above:
                raise DataError(f"The link {entry.path!r} leads back to a folder above it; remove it.")
            yield from _scan(entry.path, f"{path}/", keep, links, top, (*above, here))
        elif stat.S_ISREG(status.st_mode):
            yield found(path, entry.path, status)
        else:
            raise DataError(
                f"{entry.path!r} is a {_special(status.st_mode)}, not a file; only files and folders can be stored."
            )
    if is_empty and prefix:
        yield found(prefix, folder, os.stat(folder))


def _status(entry: os.DirEntry[str], links: Links, top: str) -> os.stat_result:
    if entry.is_symlink() and links is Links.INSIDE:
        target = os.path.realpath(entry.path)
        if os.path.commonpath((target, top)) != top:
            raise DataError(f"The link {entry.path!r} leads to {target!r}, outside of {top!r}; copy the data instead.")
    try:
        return entry.stat()
    except OSError as error:
        raise DataError(f"Cannot read {entry.path!r}: {error.strerror}.") from error


def _special(mode: int) -> str:
    kinds = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFBLK: "block device", stat.S_IFCHR: "device"}
    return kinds.get(stat.S_IFMT(mode), "special file")
