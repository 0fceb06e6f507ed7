"""Listing: what an object store says of a tree without a byte of it being read."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from refrain.storage.digest import digest_bytes
from refrain.storage.manifest import Basis, Entry, Manifest, TreeKind

_TAGS = ("ETag", "etag", "version_id", "generation", "md5Hash", "Content-MD5", "md5", "checksum")
_TIMES = ("LastModified", "last_modified", "Last-Modified", "mtime", "modified", "created", "updated")
_AT_REST_SECONDS = 2
_UNKNOWN = "unknown-"
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
    def md5(self) -> str | None:
        """The MD5 of the bytes, where the tag can be one: S3's is, for objects of one part without KMS."""
        return self.tag if _MD5.fullmatch(self.tag) else None


@dataclass(frozen=True)
class Listing:
    """The objects of a tree, sorted by path."""

    kind: TreeKind
    objects: tuple[Listed, ...]

    @cached_property
    def manifest(self) -> Manifest:
        """The listing as a manifest, whose digests are those of the objects' tags."""
        return Manifest(self.kind, tuple(Entry(o.path, o.size, o.digest) for o in self.objects), Basis.LISTING)


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
    return f"{_UNKNOWN}{secrets.token_hex(16)}"


def _time_tag(changed: Any) -> str:
    if isinstance(changed, str):  # of HTTP, in whole seconds
        with contextlib.suppress(ValueError):
            changed = parsedate_to_datetime(changed)
    if isinstance(changed, datetime):
        changed = changed.timestamp()
    if not isinstance(changed, int | float):
        return f"changed-{changed}"
    is_fine = changed != int(changed)
    is_trusted = is_fine or time.time() - changed > _AT_REST_SECONDS
    return f"changed-{float(changed)!r}" if is_trusted else f"{_UNKNOWN}{secrets.token_hex(16)}"
