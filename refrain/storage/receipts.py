"""Receipts: which content was behind a listing when we wrote it, so that nothing is downloaded to know it again.

A receipt is kept under the digest of the listing, as it was when the upload had been checked. As long as the store
lists the same objects with the same sizes and tags, the content is the one that was sent.
"""

from __future__ import annotations

import json

from refrain.storage.digest import is_digest
from refrain.storage.manifest import TreeKind
from refrain.storage.objects import ObjectStore
from refrain.storage.trees import TreeIdentity

SCHEMA = 1


class Receipts:
    """The ``receipts/`` part of a workspace."""

    def __init__(self, objects: ObjectStore) -> None:
        """Keep everything in *objects*."""
        self._objects = objects

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
        content = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        self._objects.put(receipt_key(listing_digest), content)

    def get(self, listing_digest: str) -> TreeIdentity | None:
        """Return what is behind a listing; None when that is not known, or what is stored cannot be understood."""
        content = self._objects.get(receipt_key(listing_digest))
        if content is None:
            return None
        try:
            document = json.loads(content)
            if document["schema"] != SCHEMA or document["listing"] != listing_digest:
                return None
            if not is_digest(document["digest"]):
                return None
            kind = TreeKind(document["kind"])
            return TreeIdentity(kind, document["digest"], int(document["files"]), int(document["bytes"]))
        except (ValueError, KeyError, TypeError):
            return None  # the data then counts as changed, and is made again


def receipt_key(listing_digest: str) -> str:
    """Return the key of a receipt."""
    return f"receipts/{listing_digest[:2]}/{listing_digest}"
