"""Stat index: what was hashed before, by what stat said then, so that an unchanged tree costs a walk and not a read.

A row is trusted only while size, modification time, change time, inode and device are all the same, and only when
the file had been at rest for a while before it was read: a write within the file system's clock tick would leave
no trace (git calls such an entry "racily clean"; see its Documentation/technical/racy-git.txt).

The index is a cache of this machine: losing it costs time, never correctness.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refrain.storage.digest import digest_bytes
from refrain.storage.scan import ROW, Folder
from refrain.values import dataclass

if TYPE_CHECKING:
    import sqlite3

AT_REST_NS = 2_000_000_000
"""How long a file must have been unchanged before its row is kept: the coarsest clock of a usual file system."""

KEPT_DAYS = 90
KEPT_BYTES = 2**30
"""A tree that nobody asked for in that many days is forgotten; so are the oldest ones beyond that many bytes."""

NOT_AT_REST = "0" * 64
"""Stands for the digest of a file that was written a moment before it was read."""

_SCHEMA = 3
_PENDING = 50
_DAY = 24 * 3600
_COUNT = 4
_HEAD = struct.Struct("<32s32sQQQ")  # seal, digest, files, bytes, length of the stats
_TABLE = "CREATE TABLE IF NOT EXISTS trees (root BLOB PRIMARY KEY, used INTEGER NOT NULL, tree BLOB NOT NULL)"
_AHEAD = 32
_AHEAD_BYTES = 1024
_MOST_AHEAD = 10_000
# With a root come the next ones in order, if they are small: the outputs of a run lie side by side, and a question
# costs more than a row. They are joined by number, so that nothing of a large tree is read for its length.
_LOAD = """
SELECT found.root, CAST(found.tree AS BLOB), found.used
FROM (SELECT rowid AS number FROM trees WHERE root >= ?1 ORDER BY root LIMIT ?2) AS next
JOIN trees AS found ON found.rowid = next.number
WHERE found.root = ?1 OR LENGTH(found.tree) <= ?3
"""
_SAVE = "INSERT OR REPLACE INTO trees VALUES (?, ?, ?)"
_USED = "UPDATE trees SET used = ? WHERE root = ?"
_FORGET_OLD = "DELETE FROM trees WHERE used < ?"
_FORGET_MANY = """
DELETE FROM trees WHERE root IN (SELECT root FROM (
    SELECT root, SUM(LENGTH(tree)) OVER (ORDER BY used DESC, root) AS total FROM trees
) WHERE total > ?)
"""


_Bytes = bytes  # within the class, "bytes" is the size


@dataclass(frozen=True)
class IndexedTree:
    """What the index knows of one tree: the stats of its files, their digests, and the digest of the whole.

    ``digest`` is empty when a file was not at rest, so that the whole cannot be answered from here.

    :param stats: as :func:`encoded` makes it.
    :param digests: 32 bytes for each file, in the order of ``stats``.
    """

    stats: bytes
    digests: bytes
    digest: str
    files: int
    bytes: int

    def folders(self) -> dict[str, tuple[Folder, str]]:
        """Map each prefix to its folder and the digests of its files, one after the other; it has no absolute path.

        Nothing when the two do not fit together.
        """
        found: dict[str, tuple[Folder, str]] = {}
        digests = self.digests.hex()
        at = taken = 0
        try:
            while at < len(self.stats):
                folder, at = _decoded(self.stats, at)
                count = len(folder.names)
                found[folder.prefix] = (folder, digests[taken * 64 : (taken + count) * 64])
                taken += count
        except ValueError:
            return {}
        return found if taken * 64 == len(digests) else {}

    @property
    def content(self) -> _Bytes:
        """The bytes to be stored, a digest over all of them first, so that a damaged database is noticed."""
        head = _HEAD.pack(b"", bytes.fromhex(self.digest), self.files, self.bytes, len(self.stats))
        body = b"".join((head[32:], self.stats, self.digests))
        return bytes.fromhex(digest_bytes(body)) + body

    @classmethod
    def from_content(cls, content: _Bytes) -> IndexedTree:
        """Read stored bytes back; :data:`UNKNOWN` when they are damaged."""
        if digest_bytes(content[32:]) != content[:32].hex():
            return UNKNOWN
        _, digest, files, size, length = _HEAD.unpack_from(content)
        end = _HEAD.size + length
        return cls(content[_HEAD.size : end], content[end:], digest.hex() if any(digest) else "", files, size)


UNKNOWN = IndexedTree(b"", b"", "", 0, 0)


def encoded(folders: Sequence[Folder]) -> bytes:
    """Return the bytes that are equal for two looks at one tree if, and only if, nothing in it changed."""
    return b"".join(part for folder in folders for part in _parts(folder))


def is_at_rest(newest_ns: int, now_ns: int) -> bool:
    """Say whether a read begun at *now_ns* can be trusted to have seen the last write, at *newest_ns*."""
    return newest_ns + AT_REST_NS < now_ns


def _parts(folder: Folder) -> tuple[bytes, ...]:
    # No name holds a NUL or a "/"; the number tells an empty directory from a file that is a tree and has no name.
    names = os.fsencode("/".join(folder.names))
    return os.fsencode(folder.prefix), b"\0", names, b"\0", len(folder.names).to_bytes(_COUNT, "little"), folder.rows


def _decoded(stats: bytes, at: int) -> tuple[Folder, int]:
    """Read one folder and return it with the position of the next.

    :raises ValueError: when the bytes are something else.
    """
    names_at = stats.index(b"\0", at) + 1
    count_at = stats.index(b"\0", names_at) + 1
    rows_at = count_at + _COUNT
    count = int.from_bytes(stats[count_at:rows_at], "little")
    end = rows_at + count * ROW.size
    names = os.fsdecode(stats[names_at : count_at - 1]).split("/") if count else []
    if len(names) != count or end > len(stats):
        raise ValueError("no index")
    return Folder(os.fsdecode(stats[at : names_at - 1]), "", tuple(names), stats[rows_at:end]), end


class StatIndex:
    """The index, in one SQLite file; any number of threads and processes may share it."""

    def __init__(self, folder: Path) -> None:
        """Name the folder of the index; nothing is opened or created before the first use."""
        self._path = folder / f"stat-index-{_SCHEMA}.sqlite"
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._is_usable = True
        self._pending: dict[str, IndexedTree] = {}
        self._used: set[str] = set()
        self._ahead: dict[bytes, tuple[bytes, int]] = {}

    def load(self, root: str) -> IndexedTree:
        """Return what is known of the tree at the absolute path *root*, or :data:`UNKNOWN`."""
        with self._lock:
            if root in self._pending:
                return self._pending[root]
            content, used = self._found(os.fsencode(root))
            if content and used != _today():
                self._used.add(root)
        return IndexedTree.from_content(content) if content else UNKNOWN

    def save(self, root: str, tree: IndexedTree) -> None:
        """Remember a tree; written to disk by :meth:`flush` or with the next fifty."""
        with self._lock:
            self._pending[root] = tree
            self._ahead.pop(os.fsencode(root), None)
            is_full = len(self._pending) >= _PENDING
        if is_full:
            self.flush()

    def flush(self) -> None:
        """Write what was saved since the last time, and once a day forget what nobody asks for any more."""
        today = _today()
        with self._lock:
            pending, self._pending = self._pending, {}
            used, self._used = self._used - pending.keys(), set()
            rows = [(os.fsencode(root), today, tree.content) for root, tree in pending.items()]
            if used:
                self._execute(_USED, [(today, os.fsencode(root)) for root in used])
            if rows:
                self._execute(_SAVE, rows)
                self._forget(today)

    def close(self) -> None:
        """Flush and close the file."""
        self.flush()
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _found(self, root: bytes) -> tuple[bytes, int]:
        """Return a tree as it is stored and the day of its last use, keeping what comes with it for later questions.

        What is kept may be out of date then; like any row, it is trusted only while it says what the disk says.
        """
        if root not in self._ahead:
            if len(self._ahead) > _MOST_AHEAD:
                self._ahead.clear()
            self._ahead |= {
                found: (tree, used) for found, tree, used in self._execute(_LOAD, [(root, _AHEAD, _AHEAD_BYTES)])
            }
        return self._ahead.get(root, (b"", 0))

    def _forget(self, today: int) -> None:
        if self._execute("PRAGMA user_version", [()]) in ([], [(today,)]):
            return
        self._ahead.clear()
        self._execute(_FORGET_OLD, [(today - KEPT_DAYS,)])
        self._execute(_FORGET_MANY, [(KEPT_BYTES,)])
        # A script: execute() takes one step, and each step of this pragma frees one page.
        self._with_connection(lambda connection: connection.executescript("PRAGMA incremental_vacuum"))
        self._execute(f"PRAGMA user_version = {today}", [()])

    def _execute(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Run a statement once for each row in one transaction."""
        return self._with_connection(
            lambda connection: [found for row in rows for found in connection.execute(statement, row)]
        )

    def _with_connection(self, act: Callable[[sqlite3.Connection], Iterable[Any]]) -> list[Any]:
        """Return what *act* finds; whatever a broken cache does, the answer is empty."""
        import sqlite3

        connection = self._open()
        if connection is None:
            return []
        try:
            with connection:
                return list(act(connection))
        except sqlite3.Error as error:  # a full disk or a read-only cache folder costs time, never the run
            self._give_up(error)
            return []

    def _open(self) -> sqlite3.Connection | None:
        if self._connection is None and self._is_usable:
            import sqlite3

            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = sqlite3.connect(self._path, timeout=10, check_same_thread=False)
                weakref.finalize(self, self._connection.close)
                self._connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # before the first table
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=OFF")
                self._connection.execute(_TABLE)
            except (OSError, sqlite3.Error) as error:
                self._give_up(error)
        return self._connection

    def _give_up(self, error: Exception) -> None:
        """Do without the index from now on; a corrupt file is deleted, so that the next process makes a new one."""
        import sqlite3

        self._is_usable = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        is_corrupt = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        if is_corrupt:
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    os.unlink(f"{self._path}{suffix}")


def _today() -> int:
    return int(time.time()) // _DAY
