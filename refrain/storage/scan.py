"""Scan: walk a tree and name every file in it, refusing what cannot be stored.

An unchanged tree is recognised by the bytes that this module makes of it, so what is done for each file counts: there
is one object for each folder, and a file is its name and a row of packed numbers.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import NamedTuple

from refrain.errors import DataError
from refrain.storage.filling import SIGN, refusal

Keep = Callable[[str, bool], bool]
"""Decides by relative path and ``is_directory`` whether an entry belongs to the tree."""

ROW = struct.Struct("<qqqQQI")
"""What stat says of a file: the fields of :class:`Stat`. Two rows are equal if, and only if, nothing changed."""

fields_of = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_dev", "st_mode")
"""What stat answered, as a row unpacks to; a time after the year 2262 is never equal to one in a row."""

_LAST_TIME = 2**63 - 1


class Links(Enum):
    """What a symbolic link inside a tree means."""

    FOLLOW = "follow"  # sources and datasets: the target's bytes count, wherever it is
    INSIDE = "inside"  # outputs: a link out of the tree would be a result that others can change


class Stat(NamedTuple):
    """A row, unpacked. Sizes are in bytes, times in nanoseconds."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int
    mode: int

    @property
    def newest_ns(self) -> int:
        """The time of the last change, in nanoseconds."""
        return max(self.mtime_ns, self.ctime_ns)

    @property
    def is_executable(self) -> bool:
        """Say whether the owner may execute the file."""
        return bool(self.mode & stat.S_IXUSR)


def row_of(status: os.stat_result) -> bytes:
    """Pack what stat answered."""
    fields = fields_of(status)
    try:
        return ROW.pack(*fields)
    except struct.error:  # a time after the year 2262; it counts as one that is yet to come, and is never trusted
        size, mtime, ctime, *rest = fields
        return ROW.pack(size, _within(mtime), _within(ctime), *rest)


class Folder(NamedTuple):
    """The files of one directory, sorted by name, with one row each; without any, it is an empty directory.

    :param prefix: the path from the root, ending with ``/``; empty for the root itself.
    """

    prefix: str
    absolute: str
    names: tuple[str, ...]
    rows: bytes

    def stats(self) -> Iterator[Stat]:
        """Yield the rows, unpacked."""
        return map(Stat._make, ROW.iter_unpack(self.rows))

    @property
    def newest_ns(self) -> int:
        """The time of the last change of any of the files, in nanoseconds; 0 without files."""
        return max((max(row[1], row[2]) for row in ROW.iter_unpack(self.rows)), default=0)

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield each file's path from the root, with its size in bytes."""
        return ((self.prefix + name, found.size) for name, found in zip(self.names, self.stats(), strict=True))

    def row(self, position: int) -> bytes:
        """Return the row of the name at a position."""
        return self.rows[position * ROW.size : (position + 1) * ROW.size]

    def path(self, position: int) -> str:
        """Return the absolute path of the name at a position; a tree that is one file has no name in it."""
        name = self.names[position]
        return f"{self.absolute}/{name}" if name else self.absolute


def single(path: str, status: os.stat_result) -> Folder:
    """Return the tree that is one file."""
    return Folder("", path, ("",), row_of(status))


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A directory yet to be listed. ``above`` identifies it and every folder that leads to it."""

    absolute: str
    prefix: str
    above: tuple[tuple[int, int], ...]


def scan(root: str, keep: Keep | None = None, links: Links = Links.FOLLOW, *, is_filling: bool = False) -> list[Folder]:
    """Return the folders below the directory *root* that hold files, and the empty ones, sorted by path.

    A directory that *keep* refuses is not entered. Linked directories are followed; a link back to a folder above
    it is an error, not an endless walk. The root itself is no empty directory.

    :param is_filling: also walk through a folder that a copy has not filled yet.
    :raises DataError: a folder that is not complete, a special file (FIFO, socket, device), a dangling or looping link,
        an unreadable directory, or, with :attr:`Links.INSIDE`, a link that is absolute or leaves the tree.
    """
    top = os.path.realpath(root) if links is Links.INSIDE else None
    try:
        status = os.stat(root)
    except OSError as error:
        raise DataError(f"Cannot list the directory {root!r}: {error.strerror}.") from error
    waiting = [_Waiting(root, "", ((status.st_dev, status.st_ino),))]
    folders = []
    while waiting:
        here = waiting.pop()
        entries = _listing(here.absolute, is_filling)
        if keep is not None:
            entries = [entry for entry in entries if _is_kept(entry, here.prefix, keep)]
        files, below = _looked_at(here, entries, top)
        waiting += below
        if files or (here.prefix and not entries):
            files.sort()
            names, rows = zip(*files, strict=True) if files else ((), ())
            folders.append(Folder(here.prefix, here.absolute, names, b"".join(rows)))
    return sorted(folders, key=lambda folder: folder.prefix)


def _looked_at(
    here: _Waiting, entries: Sequence[os.DirEntry[str]], top: str | None
) -> tuple[list[tuple[str, bytes]], list[_Waiting]]:
    """Return the files, with their rows, and the directories of a folder."""
    files, below = [], []
    for entry in entries:
        try:
            if top is not None and entry.is_symlink():
                _require_inside(entry.path, top)
            status = entry.stat()
        except OSError as error:
            if isinstance(error, DataError):
                raise
            raise DataError(unseen(entry.path, error)) from error
        if stat.S_ISREG(status.st_mode):
            files.append((entry.name, row_of(status)))
        elif stat.S_ISDIR(status.st_mode):
            below.append(_below(here, entry, status))
        else:
            require_plain(entry.path, status)
    return files, below


def unseen(path: str, error: OSError) -> str:
    """Return the message for a file that tells nothing of itself."""
    if isinstance(error, FileNotFoundError) and os.path.islink(path):
        return f"The link {path!r} leads to {os.readlink(path)!r}, where nothing is; remove it."
    return f"Cannot read {path!r}: {error.strerror}."


def require_plain(path: str, status: os.stat_result) -> None:
    """Refuse what is neither a file nor a folder: reading a FIFO would wait for its writer.

    :raises DataError: for a special file.
    """
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path!r} is a {_special(status.st_mode)}, not a file; only files and folders can be stored.")


def _listing(folder: str, is_filling: bool) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as listing:
            entries = list(listing)
    except OSError as error:
        raise DataError(f"Cannot list the directory {folder!r}: {error.strerror}.") from error
    whole = [entry for entry in entries if entry.name != SIGN]
    if len(whole) < len(entries) and not is_filling:
        raise DataError(refusal(repr(folder)))
    return whole


def _is_kept(entry: os.DirEntry[str], prefix: str, keep: Keep) -> bool:
    try:
        is_directory = entry.is_dir()
    except OSError:  # a link that leads in a circle, or where nobody may look: an error only if it is kept
        is_directory = False
    return keep(prefix + entry.name, is_directory)


def _below(folder: _Waiting, entry: os.DirEntry[str], status: os.stat_result) -> _Waiting:
    here = (status.st_dev, status.st_ino)
    if here in folder.above:
        raise DataError(f"The link {entry.path!r} leads back to a folder above it; remove it.")
    return _Waiting(entry.path, f"{folder.prefix}{entry.name}/", (*folder.above, here))


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


def _within(time_ns: int) -> int:
    return max(-_LAST_TIME, min(time_ns, _LAST_TIME))
