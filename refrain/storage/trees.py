"""Trees: the digest of a file or a folder, read once and then answered from the stat index."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing

from refrain.errors import DataError, DataNotFoundError
from refrain.storage.manifest import BY_PATH, Entry, Manifest, TreeKind
from refrain.storage.readers import digest_each
from refrain.storage.scan import ROW, Folder, Keep, Links, Stat, scan, single
from refrain.storage.small_files import File, Read
from refrain.storage.statindex import NOT_AT_REST, IndexedTree, StatIndex, encoded, is_at_rest
from refrain.values import dataclass


@dataclass(frozen=True)
class TreeIdentity:
    """What a tree is, in a few numbers. ``bytes`` is the sum of the files' sizes."""

    kind: TreeKind
    digest: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class TreeRules:
    """How a tree is read: which entries belong to it, what links mean, whether the executable bit counts.

    :param admit: is told the number of files and of their bytes before one is read, and raises to refuse the tree.
    """

    keep: Keep | None = None
    links: Links = Links.FOLLOW
    executable: bool = False
    admit: Callable[[int, int], None] | None = None
    index_key: str = ""  # two readings of one folder under other rules must not share a row


DATA = TreeRules()
OUTPUT = TreeRules(links=Links.INSIDE)


class Trees:
    """Digests of trees on this machine's file system, backed by a stat index."""

    def __init__(self, index: StatIndex, own_folders: tuple[str, ...] = ()) -> None:
        """Answer from *index* whatever it can answer.

        :param own_folders: what no snapshot includes, because every run changes it: the workspace and the cache.
        """
        self._index = index
        self.own_folders = own_folders

    def identify(self, path: str | os.PathLike[str], rules: TreeRules = DATA) -> TreeIdentity:
        """Return kind, digest and size of the tree at *path*, without reading files that have not changed.

        :raises DataNotFoundError: when nothing is at *path*.
        :raises DataError: as :func:`refrain.storage.scan.scan`.
        """
        root = os.path.abspath(path)
        kind, folders = _look(root, rules)
        known = self._index.load(root + rules.index_key)
        if known.digest and known.stats == encoded(folders):
            return TreeIdentity(kind, known.digest, known.files, known.bytes)
        manifest = self._read(root, kind, folders, known, rules)
        return TreeIdentity(kind, manifest.digest, manifest.files, manifest.bytes)

    def manifest(self, path: str | os.PathLike[str], rules: TreeRules = DATA) -> Manifest:
        """Return the full manifest of the tree at *path*; raises as :meth:`identify`."""
        root = os.path.abspath(path)
        kind, folders = _look(root, rules)
        return self._read(root, kind, folders, self._index.load(root + rules.index_key), rules)

    def flush(self) -> None:
        """Write to disk what was learned."""
        self._index.flush()

    def _read(self, root: str, kind: TreeKind, folders: list[Folder], known: IndexedTree, rules: TreeRules) -> Manifest:
        now_ns = time.time_ns()
        before = known.folders()
        folders, digests = _digested(folders, [_known(folder, before) for folder in folders])
        manifest = Manifest(kind, _entries(folders, digests, rules))
        at_rest = [
            digest
            for folder, of_folder in zip(folders, digests, strict=True)
            for digest in _at_rest(folder, of_folder, now_ns)
        ]
        indexed = IndexedTree(
            stats=encoded(folders),
            digests=bytes.fromhex("".join(at_rest)),
            digest="" if NOT_AT_REST in at_rest else manifest.digest,
            files=manifest.files,
            bytes=manifest.bytes,
        )
        if indexed != known and any(digest != NOT_AT_REST for digest in at_rest):  # else nothing can be trusted
            self._index.save(root + rules.index_key, indexed)
        return manifest


def _look(root: str, rules: TreeRules) -> tuple[TreeKind, list[Folder]]:
    try:
        status = os.stat(root)
    except FileNotFoundError as error:
        raise DataNotFoundError(f"There is nothing at {root!r}.") from error
    except OSError as error:
        raise DataError(f"Cannot read {root!r}: {error.strerror}.") from error
    if stat.S_ISDIR(status.st_mode):
        folders = scan(root, rules.keep, rules.links)
        if rules.admit is not None:
            sizes = [found.size for folder in folders for found in folder.stats()]
            rules.admit(len(sizes), sum(sizes))
        return TreeKind.DIRECTORY, folders
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{root!r} is neither a file nor a folder; only files and folders can be stored.")
    return TreeKind.FILE, [single(root, status)]


def _known(folder: Folder, before: dict[str, tuple[Folder, str]]) -> list[str]:
    """Return the digest of each file of a folder; an empty one where it must be read."""
    if folder.prefix not in before:
        return [""] * len(folder.names)
    old, joined = before[folder.prefix]
    digests = [joined[at : at + 64].replace(NOT_AT_REST, "") for at in range(0, len(joined), 64)]
    if (old.names, old.rows) == (folder.names, folder.rows):
        return digests
    by_name = {name: (old.row(at), digests[at]) for at, name in enumerate(old.names)}
    found = (by_name.get(name, (b"", "")) for name in folder.names)
    return [digest if row == folder.row(at) else "" for at, (row, digest) in enumerate(found)]


def _digested(folders: list[Folder], digests: list[list[str]]) -> tuple[list[Folder], list[list[str]]]:
    """Read every file that has no digest yet; a file that changed meanwhile has another row then."""
    with closing(digest_each(_unread(folders, digests))) as read:
        looked = [
            _filled(folder, found, read) if "" in found else (folder, found)
            for folder, found in zip(folders, digests, strict=True)
        ]
    return [folder for folder, _ in looked], [found for _, found in looked]


def _unread(folders: list[Folder], digests: list[list[str]]) -> Iterator[File]:
    """Yield the files without a digest, one by one: what is made for each file is to be forgotten soon."""
    for folder, found in zip(folders, digests, strict=True):
        for at, digest in enumerate(found):
            if not digest:
                yield folder.path(at), folder.row(at)


def _filled(folder: Folder, found: list[str], read: Iterator[Read]) -> tuple[Folder, list[str]]:
    """Take what was read for the files of a folder that have no digest."""
    looked = [(folder.row(at), digest) if digest else next(read) for at, digest in enumerate(found)]
    rows = b"".join([row for row, _ in looked])
    return folder if rows == folder.rows else folder._replace(rows=rows), [digest for _, digest in looked]


def _at_rest(folder: Folder, digests: list[str], now_ns: int) -> list[str]:
    """Return the digests of a folder, without those of files that were written a moment before they were read."""
    if is_at_rest(folder.newest_ns, now_ns):
        return digests
    return [
        digest if is_at_rest(found.newest_ns, now_ns) else NOT_AT_REST
        for found, digest in zip(folder.stats(), digests, strict=True)
    ]


def _entries(folders: list[Folder], digests: list[list[str]], rules: TreeRules) -> tuple[Entry, ...]:
    entries = []
    for folder, of_folder in zip(folders, digests, strict=True):
        prefix = folder.prefix
        if not folder.names:
            entries.append(Entry(prefix, 0, "", rules.executable))  # a directory that can be entered has the bit
        rows = ROW.iter_unpack(folder.rows)  # not stats(): an object for each file costs as much as its entry
        entries += [
            Entry(prefix + name, row[0], digest, rules.executable and Stat._make(row).is_executable)
            for name, row, digest in zip(folder.names, rows, of_folder, strict=True)
        ]
    return tuple(sorted(entries, key=BY_PATH))
