"""Listing: what an object store says of a tree without a byte of it being read."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from refrain.errors import DataError
from refrain.storage.digest import digest_bytes
from refrain.storage.manifest import Basis, Entry, Manifest, TreeKind
from refrain.values import dataclass

_TAGS = ("ETag", "etag", "version_id", "generation", "md5Hash", "Content-MD5", "md5", "checksum")
_TIMES = ("LastModified", "last_modified", "Last-Modified", "mtime", "modified", "created", "updated")
_AT_REST_SECONDS = 2
_UNKNOWN = "unknown-"
_CHANGED = "changed-"
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Listed:
    """One object: its path below the tree's root, its size in bytes, and the store's word for this very content."""

    path: str
    uri: str
    size: int
    tag: str

    @cached_property
    def digest(self) -> str:
        """The digest of all that is known; it holds the URI, because stores compare tags of one object only."""
        return digest_bytes(json.dumps([self.uri, self.size, self.tag]).encode())

    @property
    def is_known_by_chance(self) -> bool:
        """Say whether the store has no word for the content that would come again for the same content."""
        return self.tag.startswith(_UNKNOWN)

    @property
    def is_known_by_time(self) -> bool:
        """Say whether only the time of the last change tells one content from another."""
        return self.tag.startswith(_CHANGED)

    @property
    def md5(self) -> str | None:
        """The MD5 of the bytes, where the tag can be one: S3's is, for objects of one part without KMS."""
        return self.tag if _MD5.fullmatch(self.tag) else None


@dataclass(frozen=True)
class Listing:
    """The objects of a tree, sorted by path, and its empty folders where the store has such."""

    kind: TreeKind
    objects: tuple[Listed, ...]
    folders: tuple[str, ...] = ()

    @cached_property
    def manifest(self) -> Manifest:
        """The listing as a manifest, whose digests are those of the objects' tags."""
        return Manifest(self.kind, tuple(Entry(o.path, o.size, o.digest) for o in self.objects), Basis.LISTING)


def require_listed(listing: Listing, arrived: Mapping[str, tuple[int, str]], root: str) -> None:
    """Check that a store lists what was sent to it; tags of times and of no content never come again.

    :param arrived: sizes and tags by relative path.
    :raises DataError: when it does not.
    """
    listed = {o.path: (o.size, o.tag) for o in listing.objects}
    for name, (size, tag) in arrived.items():
        path = f"{root}/{name}".rstrip("/")
        if name not in listed:
            raise DataError(f"{path} was written, but the store does not list it. Run again.")
        if listed[name][0] != size or not _can_be_one(listed[name][1], tag):
            raise DataError(f"{path} did not arrive as it was sent: {listed[name][0]} of {size} bytes. Run again.")


def _can_be_one(listed: str, told: str) -> bool:
    """Compare two tags of one object, where they speak of the same.

    A time does not, and some servers list the MD5 of what came in parts although they told the MD5 of its parts.
    """
    is_time = any(tag.startswith((_CHANGED, _UNKNOWN)) for tag in (listed, told))
    return listed == told or is_time or ("-" in told) != ("-" in listed)


def tag_of(info: Mapping[str, Any]) -> str:
    """Return the store's word for an object's content.

    Where it has none, the time of the last change stands for it, unless that is so recent, and so coarse, that another
    write would leave no trace. A tag that cannot be trusted is one that never comes again.
    """
    for name in _TAGS:
        if info.get(name):
            return str(info[name]).strip('"')
    for name in _TIMES:
        if info.get(name):
            return _time_tag(info[name])
    return f"{_UNKNOWN}{os.urandom(16).hex()}"


def _time_tag(changed: Any) -> str:
    if isinstance(changed, str):  # of HTTP, in whole seconds
        from email.utils import parsedate_to_datetime

        with contextlib.suppress(ValueError):
            changed = parsedate_to_datetime(changed)
    if isinstance(changed, datetime):
        changed = changed.timestamp()
    if not isinstance(changed, int | float):
        return f"{_CHANGED}{changed}"
    is_fine = changed != int(changed)
    is_trusted = is_fine or time.time() - changed > _AT_REST_SECONDS
    return f"{_CHANGED}{float(changed)!r}" if is_trusted else f"{_UNKNOWN}{os.urandom(16).hex()}"


def require_inside(path: str, uri: str) -> None:
    """Refuse an object whose name would lead out of the folder that it is put into, or is no name of a file.

    :raises DataError: which names the object by its *uri*.
    """
    if {"", ".", ".."} & set(path.split("/")) or "\0" in path:
        raise DataError(f"{uri} cannot be a file here: its name has an empty part, '.' or '..'.")
