"""Receipts: which content was behind a listing when we wrote it, so that nothing is downloaded to know it again.

A receipt is kept under the digest of the listing, as it was when the upload had been checked. As long as the store
lists the same objects with the same sizes and tags, the content is the one that was sent.
"""

from __future__ import annotations

import json

from refrain.errors import CorruptObjectError
from refrain.storage.digest import is_digest
from refrain.storage.manifest import TreeKind
from refrain.storage.objects import ObjectStore
from refrain.storage.sealed import is_sealed, sealed, unsealed
from refrain.storage.trees import TreeIdentity

SCHEMA = 2  # 1 had no checksum


class Receipts:
    """The ``receipts/`` part of a workspace."""

    def __init__(self, objects: ObjectStore, copies: ObjectStore | None = None) -> None:
        """Keep everything in *objects*.

        :param copies: of this machine. What was behind a listing stays true, so that no receipt is fetched twice.
        """
        self._objects = objects
        self._copies = copies

    def put(self, listing_digest: str, identity: TreeIdentity) -> None:
        """Remember what is behind a listing."""
        document = {
            "schema": SCHEMA,
            "listing": listing_digest,
            "kind": identity.kind.value,
            "digest": identity.digest,
            "files": identity.files,
            "bytes": identity.bytes,
        }
        self._objects.put(receipt_key(listing_digest), sealed(json.dumps(document, sort_keys=True)))

    def get(self, listing_digest: str) -> TreeIdentity | None:
        """Return what is behind a listing; None when that is not known, or what is stored cannot be understood."""
        key = receipt_key(listing_digest)
        copy = None if self._copies is None else self._copies.get(key)
        known = _parse(copy, listing_digest)
        if known is not None:
            return known
        content = self._objects.get(key)
        known = _parse(content, listing_digest)
        if known is not None and content is not None and self._copies is not None:
            self._copies.put(key, content, durable=False)
        return known


def receipt_key(listing_digest: str) -> str:
    """Return the key of a receipt."""
    return f"receipts/{listing_digest[:2]}/{listing_digest}"


def _parse(content: bytes | None, listing_digest: str) -> TreeIdentity | None:
    """Read a receipt; without one that is sound, the data counts as changed, and is made again."""
    if content is None:
        return None
    try:
        document = unsealed(content, "A receipt") if is_sealed(content) else json.loads(content)
        if document["schema"] > SCHEMA or document["listing"] != listing_digest or not is_digest(document["digest"]):
            return None
        kind = TreeKind(document["kind"])
        return TreeIdentity(kind, document["digest"], int(document["files"]), int(document["bytes"]))
    except (CorruptObjectError, ValueError, KeyError, TypeError):
        return None
