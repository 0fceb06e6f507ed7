"""Stat index: what was hashed before, by what stat said then, so that an unchanged tree costs a walk and not a read.

A row is trusted only while size, modification time, change time, inode and device are all the same, and only when
the file had been at rest for a while before it was read: a write within the file system's clock tick would leave
no trace (git calls such an entry "racily clean"; see its Documentation/technical/racy-git.txt).

The index is a cache of this machine: losing it costs time, never correctness.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refrain.storage.scan import Found

if TYPE_CHECKING:
    import sqlite3

AT_REST_NS = 2_000_000_000
"""How long a file must have been unchanged before its row is kept: the coarsest clock of a usual file system."""

_SCHEMA = 2
_FIELDS = 7
_PENDING = 50
_TABLE = """
CREATE TABLE IF NOT EXISTS trees (
    root BLOB PRIMARY KEY, stats BLOB NOT NULL, digests TEXT NOT NULL,
    digest TEXT NOT NULL, files INTEGER NOT NULL, bytes INTEGER NOT NULL
) WITHOUT ROWID
"""


_Bytes = bytes  # within the class, "bytes" is the size


@dataclass(frozen=True, slots=True)
class IndexedTree:
    """What the index knows of one tree: the stats of its files, their digests, and the digest of the whole.

    ``digest`` is empty when a file was not at rest, so that the whole cannot be answered from here.
    """

    stats: bytes
    digests: tuple[str, ...]
    digest: str
    files: int
    bytes: int

    def by_path(self) -> dict[str, tuple[_Bytes, str]]:
        """Map each path to its stat row and its digest; nothing when the two do not fit together."""
        fields = self.stats.split(b"\0")[:-1]
        if len(fields) != len(self.digests) * _FIELDS:
            return {}
        rows = (fields[i : i + _FIELDS] for i in range(0, len(fields), _FIELDS))
        return {os.fsdecode(row[0]): (b"\0".join(row), digest) for row, digest in zip(rows, self.digests, strict=True)}


UNKNOWN = IndexedTree(b"", (), "", 0, 0)


def stat_row(found: Found) -> bytes:
    """Return the bytes that are equal for two looks at one file if, and only if, nothing about it changed."""
    numbers = (found.size, found.mtime_ns, found.ctime_ns, found.inode, found.device, int(found.executable))
    return os.fsencode(found.path) + b"\0" + b"\0".join(str(n).encode() for n in numbers)


def is_at_rest(found: Found, now_ns: int) -> bool:
    """Say whether a read begun at *now_ns* can be trusted to have seen the last write."""
    return max(found.mtime_ns, found.ctime_ns) + AT_REST_NS < now_ns


class StatIndex:
    """The index, in one SQLite file; any number of threads and processes may share it.

    Known limitation: rows of trees that are gone stay until the file is deleted, which is safe at any time.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder of the index; nothing is opened or created before the first use."""
        self._path = folder / f"stat-index-{_SCHEMA}.sqlite"
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._is_usable = True
        self._pending: dict[str, IndexedTree] = {}

    def load(self, root: str) -> IndexedTree:
        """Return what is known of the tree at the absolute path *root*, or :data:`UNKNOWN`."""
        with self._lock:
            if root in self._pending:
                return self._pending[root]
            query = "SELECT stats, digests, digest, files, bytes FROM trees WHERE root = ?"
            found = self._execute(query, [(os.fsencode(root),)])
        if not found:
            return UNKNOWN
        stats, digests, digest, files, size = found[0]
        return IndexedTree(stats, tuple(digests.split(",")) if stats else (), digest, files, size)

    def save(self, root: str, tree: IndexedTree) -> None:
        """Remember a tree; written to disk by :meth:`flush` or with the next fifty."""
        with self._lock:
            self._pending[root] = tree
            is_full = len(self._pending) >= _PENDING
        if is_full:
            self.flush()

    def flush(self) -> None:
        """Write what was saved since the last time."""
        with self._lock:
            pending, self._pending = self._pending, {}
            rows = [
                (os.fsencode(root), tree.stats, ",".join(tree.digests), tree.digest, tree.files, tree.bytes)
                for root, tree in pending.items()
            ]
            if rows:
                self._execute("INSERT OR REPLACE INTO trees VALUES (?, ?, ?, ?, ?, ?)", rows)

    def close(self) -> None:
        """Flush and close the file."""
        self.flush()
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _execute(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Run a statement once for each row in one transaction; whatever a broken cache does, the answer is empty."""
        import sqlite3

        connection = self._open()
        if connection is None:
            return []
        try:
            with connection:
                return [found for row in rows for found in connection.execute(statement, row)]
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
