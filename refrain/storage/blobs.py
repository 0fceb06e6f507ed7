"""Blobs: file contents and manifests under their own digests, checked whenever they are read."""

from __future__ import annotations

import os
from pathlib import Path

from refrain.errors import CorruptObjectError, SnapshotError
from refrain.storage.digest import digest_bytes
from refrain.storage.manifest import Manifest
from refrain.storage.objects import ObjectStore


class BlobStore:
    """The content-addressed part of a workspace."""

    def __init__(self, objects: ObjectStore) -> None:
        """Keep everything in *objects*."""
        self._objects = objects

    def put_manifest(self, manifest: Manifest, *, durable: bool = True) -> None:
        """Store a manifest under its digest, unless a sound one was stored just now.

        What is old is written anew, so that cleaning sees that it is in use.
        """
        key = manifest_key(manifest.digest)
        if not self._objects.is_fresh(key) or self._objects.get(key) != manifest.content:  # it may be damaged
            self._objects.put(key, manifest.content, durable=durable)

    def get_manifest(self, digest: str) -> Manifest | None:
        """Return the manifest with this digest, or None when it is not stored.

        :raises CorruptObjectError: when the stored bytes have another digest.
        """
        content = self._objects.get(manifest_key(digest))
        return None if content is None else Manifest.from_content(content, digest)

    def put_file(self, path: str, digest: str) -> None:
        """Store a file's bytes under *digest*, unless that was done just now; see :meth:`put_manifest`.

        :raises SnapshotError: when the file cannot be read, or no longer has that digest.
        """
        key = blob_key(digest)
        if self._objects.is_fresh(key):
            return
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise SnapshotError(f"{path!r} cannot be read any more: {error.strerror}; run again.") from error
        if digest_bytes(data) != digest:
            raise SnapshotError(f"{path!r} changed while it was captured; run again when its writer has finished.")
        self._objects.put(key, data, durable=False)

    def copy_out(self, digest: str, target: str, executable: bool = False) -> None:
        """Write the bytes of *digest* to the file *target*.

        :raises CorruptObjectError: when the blob is missing or damaged; a damaged one is deleted, so that the next
            capture stores it anew.
        :raises OSError: when the file cannot be written.
        """
        key = blob_key(digest)
        data = self._objects.get(key)
        if data is None:
            raise CorruptObjectError(f"Blob {digest} is not in the workspace.")
        if digest_bytes(data) != digest:
            self._objects.delete(key)
            raise CorruptObjectError(f"Blob {digest} was corrupt and has been deleted; run again to store it anew.")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(target, flags, 0o777 if executable else 0o666), "wb") as file:
            file.write(data)  # buffered: a raw write may stop half-way on a full disk without an error


def blob_key(digest: str) -> str:
    """Return the key of a blob."""
    return f"blobs/{digest[:2]}/{digest}"


def manifest_key(digest: str) -> str:
    """Return the key of a manifest."""
    return f"manifests/{digest[:2]}/{digest}"
