"""Manifest: the list of files behind a digest, and the digest itself."""

from __future__ import annotations

import json
from enum import Enum
from functools import cached_property
from json.encoder import encode_basestring_ascii as _quoted
from operator import attrgetter
from typing import Any, NamedTuple

from refrain.errors import CorruptObjectError
from refrain.storage.digest import digest_bytes
from refrain.values import dataclass

MANIFEST_SCHEMA = 1

_Content = bytes  # within the class, "bytes" is the size


class TreeKind(str, Enum):
    """What stands at the root of a tree."""

    FILE = "file"
    DIRECTORY = "directory"
    MISSING = "missing"  # a reference may name a place where nothing is yet


class Basis(str, Enum):
    """What the digests of a manifest's entries are of."""

    CONTENT = "content"  # the files' bytes
    LISTING = "listing"  # an object store's words for the bytes: ETags, versions


class Entry(NamedTuple):
    """One file of a tree, or one empty directory (its path ends with ``/``); there may be very many.

    ``path`` is relative to the tree's root, with ``/``; the root of a single file has the path ``""``.
    ``size`` is in bytes. ``executable`` is recorded for snapshots only: data counts by paths and bytes.
    """

    path: str
    size: int
    digest: str
    executable: bool = False


BY_PATH = attrgetter("path")
"""The order of a manifest's entries."""


@dataclass(frozen=True)
class Manifest:
    """The files of a tree, sorted by path; its digest is the digest of its canonical bytes."""

    kind: TreeKind
    entries: tuple[Entry, ...]
    basis: Basis = Basis.CONTENT

    @cached_property
    def content(self) -> bytes:
        """The canonical bytes: what is stored, and what is hashed."""
        rows = [
            f'[{_quoted(path)},{size},"{digest}",{bit:d}]'
            for path, size, digest, bit in sorted(self.entries, key=BY_PATH)
        ]
        document: dict[str, Any] = {"schema": MANIFEST_SCHEMA, "kind": self.kind.value, "entries": []}
        if self.basis is not Basis.CONTENT:
            document["basis"] = self.basis.value  # so that no listing has the digest of a content
        # A list for each file, which json.dumps() would need, costs more than its text.
        frame = json.dumps(document, separators=(",", ":"), sort_keys=True)
        return frame.replace("[]", f"[{','.join(rows)}]", 1).encode()

    @cached_property
    def digest(self) -> str:
        """The digest of the whole tree."""
        return digest_bytes(self.content)

    @property
    def files(self) -> int:
        """The number of files, empty directories not counted."""
        return sum(not entry.path.endswith("/") for entry in self.entries)

    @cached_property
    def bytes(self) -> int:
        """The sum of the files' sizes, in bytes."""
        return sum(entry.size for entry in self.entries)

    @classmethod
    def from_content(cls, content: _Content, digest: str) -> Manifest:
        """Read a stored manifest back.

        :raises CorruptObjectError: when the bytes are not those that *digest* names, or of a newer schema.
        """
        if digest_bytes(content) != digest:
            raise CorruptObjectError(f"Manifest {digest} is corrupt: its bytes have another digest.")
        document = json.loads(content)
        if document["schema"] > MANIFEST_SCHEMA:
            raise CorruptObjectError(
                f"Manifest {digest} has schema {document['schema']}, this Refrain reads up to {MANIFEST_SCHEMA}: "
                "upgrade Refrain."
            )
        entries = tuple(Entry(path, size, hexdigest, bool(x)) for path, size, hexdigest, x in document["entries"])
        return cls(TreeKind(document["kind"]), entries, Basis(document.get("basis", "content")))


MISSING = Manifest(TreeKind.MISSING, ())


@dataclass(frozen=True)
class Difference:
    """How two manifests differ, by path."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def describe(self, most: int = 3) -> str:
        """Name the first *most* files of each group: ``changed train.py; added util.py``."""
        groups = (("changed", self.changed), ("added", self.added), ("removed", self.removed))
        return "; ".join(f"{word} {_some(paths, most)}" for word, paths in groups if paths)


def difference(old: Manifest, new: Manifest) -> Difference:
    """Compare two manifests by path, bytes and executable bit."""
    before = {entry.path: entry for entry in old.entries}
    after = {entry.path: entry for entry in new.entries}
    return Difference(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(p for p in before.keys() & after.keys() if before[p] != after[p])),
    )


def _some(paths: tuple[str, ...], most: int) -> str:
    shown = ", ".join(path or "the file" for path in paths[:most])
    return shown if len(paths) <= most else f"{shown} and {len(paths) - most} more"
