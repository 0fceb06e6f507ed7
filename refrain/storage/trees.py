"""Trees: the digest of a file or a folder, read once and then answered from the stat index."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from refrain.errors import DataError, DataNotFoundError
from refrain.storage.digest import digest_file
from refrain.storage.manifest import Entry, Manifest, TreeKind
from refrain.storage.scan import Found, Keep, Links, found, scan
from refrain.storage.statindex import IndexedTree, StatIndex, is_at_rest, stat_row

_PARALLEL_FROM = 32
_TRIES = 3


@dataclass(frozen=True, slots=True)
class TreeIdentity:
    """What a tree is, in a few numbers. ``bytes`` is the sum of the files' sizes."""

    kind: TreeKind
    digest: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class TreeRules:
    """How a tree is read: which entries belong to it, what links mean, whether the executable bit counts.

    :param admit: is shown the whole listing before a byte is read, and raises to refuse it.
    """

    keep: Keep | None = None
    links: Links = Links.FOLLOW
    executable: bool = False
    admit: Callable[[Sequence[Found]], None] | None = None
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
        kind, entries = _entries(root, rules)
        known = self._index.load(root + rules.index_key)
        if known.digest and known.stats == _stats(entries):
            return TreeIdentity(kind, known.digest, known.files, known.bytes)
        manifest = self._read(root, kind, entries, known, rules)
        return TreeIdentity(kind, manifest.digest, manifest.files, manifest.bytes)

    def manifest(self, path: str | os.PathLike[str], rules: TreeRules = DATA) -> Manifest:
        """Return the full manifest of the tree at *path*; raises as :meth:`identify`."""
        root = os.path.abspath(path)
        kind, entries = _entries(root, rules)
        return self._read(root, kind, entries, self._index.load(root + rules.index_key), rules)

    def flush(self) -> None:
        """Write to disk what was learned."""
        self._index.flush()

    def _read(self, root: str, kind: TreeKind, entries: list[Found], known: IndexedTree, rules: TreeRules) -> Manifest:
        now_ns = time.time_ns()
        before = known.by_path()
        digests = {}
        to_read = []
        for entry in entries:
            row, digest = before.get(entry.path, (b"", ""))
            if entry.is_directory:
                digests[entry.path] = ""
            elif digest and row == stat_row(entry):
                digests[entry.path] = digest
            else:
                to_read.append(entry)
        read = dict(zip((e.path for e in to_read), _digest_all(to_read), strict=True))
        current = [read[e.path][0] if e.path in read else e for e in entries]
        digests.update({path: digest for path, (_, digest) in read.items()})
        rows = (Entry(e.path, e.size, digests[e.path], rules.executable and e.executable) for e in current)
        manifest = Manifest(kind, tuple(rows))
        indexed = _indexed(current, digests, manifest, now_ns)
        if indexed != known and any(indexed.digests):  # else there is nothing new, or nothing to be trusted
            self._index.save(root + rules.index_key, indexed)
        return manifest


def _entries(root: str, rules: TreeRules) -> tuple[TreeKind, list[Found]]:
    try:
        status = os.stat(root)
    except FileNotFoundError as error:
        raise DataNotFoundError(f"There is nothing at {root!r}.") from error
    except OSError as error:
        raise DataError(f"Cannot read {root!r}: {error.strerror}.") from error
    if stat.S_ISDIR(status.st_mode):
        entries = sorted(scan(root, rules.keep, rules.links), key=lambda e: e.path)
        if rules.admit is not None:
            rules.admit(entries)
        return TreeKind.DIRECTORY, entries
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{root!r} is neither a file nor a folder; only files and folders can be stored.")
    return TreeKind.FILE, [found("", root, status)]


def _stats(entries: Iterable[Found]) -> bytes:
    return b"".join(stat_row(entry) + b"\0" for entry in entries)


def _indexed(entries: list[Found], digests: dict[str, str], manifest: Manifest, now_ns: int) -> IndexedTree:
    rest = [entry.is_directory or is_at_rest(entry, now_ns) for entry in entries]
    return IndexedTree(
        stats=_stats(entries),
        digests=tuple(digests[entry.path] if ok else "" for entry, ok in zip(entries, rest, strict=True)),
        digest=manifest.digest if all(rest) else "",
        files=manifest.files,
        bytes=manifest.bytes,
    )


def _digest_all(entries: list[Found]) -> list[tuple[Found, str]]:
    if len(entries) < _PARALLEL_FROM:
        return [_digest(entry) for entry in entries]
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1)) as pool:
        return list(pool.map(_digest, entries, chunksize=16))


def _digest(entry: Found) -> tuple[Found, str]:
    """Read one file and say what it was while it was read: the stat before and after must agree."""
    for _ in range(_TRIES):
        try:
            digest = digest_file(entry.absolute)
            after = found(entry.path, entry.absolute, os.stat(entry.absolute))
        except OSError as error:
            raise DataError(f"Cannot read {entry.absolute!r}: {error.strerror}.") from error
        if stat_row(after) == stat_row(entry):
            return entry, digest
        entry = after
    raise DataError(f"{entry.absolute!r} changes while it is being read; wait until its writer has finished.")
