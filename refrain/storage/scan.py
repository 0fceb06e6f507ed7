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


@dataclass(frozen=True, slots=True)
class _Folder:
    """A directory yet to be listed. ``above`` identifies it and every folder that leads to it."""

    absolute: str
    prefix: str
    status: os.stat_result
    above: tuple[tuple[int, int], ...]


def scan(root: str, keep: Keep | None = None, links: Links = Links.FOLLOW) -> Iterator[Found]:
    """Yield the files of the directory *root*, in no particular order.

    A directory that *keep* refuses is not entered. Linked directories are followed; a link back to a folder above
    it is an error, not an endless walk.

    :raises DataError: a special file (FIFO, socket, device), a dangling or looping link, an unreadable directory,
        or, with :attr:`Links.INSIDE`, a link that is absolute or leaves the tree.
    """
    top = os.path.realpath(root)
    try:
        status = os.stat(root)
    except OSError as error:
        raise DataError(f"Cannot list the directory {root!r}: {error.strerror}.") from error
    waiting = [_Folder(root, "", status, ((status.st_dev, status.st_ino),))]
    while waiting:
        folder = waiting.pop()
        entries = [entry for entry in _listing(folder.absolute) if keep is None or _is_kept(entry, folder.prefix, keep)]
        for entry in entries:
            path = folder.prefix + entry.name
            status = _status(entry, links, top)
            if stat.S_ISDIR(status.st_mode):
                waiting.append(_below(folder, entry, status))
            else:
                require_plain(entry.path, status)
                yield found(path, entry.path, status)
        if folder.prefix and not entries:
            yield found(folder.prefix, folder.absolute, folder.status)


def require_plain(path: str, status: os.stat_result) -> None:
    """Refuse what is neither a file nor a folder: reading a FIFO would wait for its writer.

    :raises DataError: for a special file.
    """
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path!r} is a {_special(status.st_mode)}, not a file; only files and folders can be stored.")


def _listing(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as listing:
            return list(listing)
    except OSError as error:
        raise DataError(f"Cannot list the directory {folder!r}: {error.strerror}.") from error


def _is_kept(entry: os.DirEntry[str], prefix: str, keep: Keep) -> bool:
    try:
        is_directory = entry.is_dir()
    except OSError:  # a link that leads in a circle, or where nobody may look: an error only if it is kept
        is_directory = False
    return keep(prefix + entry.name, is_directory)


def _below(folder: _Folder, entry: os.DirEntry[str], status: os.stat_result) -> _Folder:
    here = (status.st_dev, status.st_ino)
    if here in folder.above:
        raise DataError(f"The link {entry.path!r} leads back to a folder above it; remove it.")
    return _Folder(entry.path, f"{folder.prefix}{entry.name}/", status, (*folder.above, here))


def _status(entry: os.DirEntry[str], links: Links, top: str) -> os.stat_result:
    try:
        if links is Links.INSIDE and entry.is_symlink():
            _require_inside(entry.path, top)
        return entry.stat()
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"Cannot read {entry.path!r}: {error.strerror}.") from error


def _require_inside(link: str, top: str) -> None:
    target = os.path.realpath(link)
    if os.path.commonpath((target, top)) != top:
        raise DataError(f"The link {link!r} leads to {target!r}, outside of {top!r}; copy the data instead.")
    written = os.readlink(link)
    if os.path.isabs(written):  # it will lead nowhere once the output is moved to its place
        raise DataError(f"The link {link!r} is absolute ({written!r}); make it relative, or copy the data instead.")


def _special(mode: int) -> str:
    kinds = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFBLK: "block device", stat.S_IFCHR: "device"}
    return kinds.get(stat.S_IFMT(mode), "special file")
