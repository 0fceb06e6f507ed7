"""DataHandle: data by reference, as it travels between steps and over XCom."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refrain.errors import UntrustedReferenceError
from refrain.storage.digest import is_digest
from refrain.storage.local import local_path
from refrain.storage.manifest import TreeKind
from refrain.values import dataclass


@dataclass(frozen=True)
class DataHandle:
    """Where data is and what it is. ``bytes`` is the sum of the files' sizes."""

    uri: str
    kind: TreeKind
    digest: str
    files: int
    bytes: int

    @property
    def path(self) -> Path:
        """The local path behind a ``file://`` URI.

        :raises UntrustedReferenceError: when it is a URI of another kind, or of another host.
        """
        return local_path(self.uri)

    @property
    def location(self) -> str:
        """Where the data is, for people: the local path, or the URI of what is elsewhere."""
        return str(self.path) if self.uri.startswith("file:") else self.uri

    @property
    def name(self) -> str:
        """The last part of the URI's path, as the file system writes it."""
        return self.path.name if self.uri.startswith("file:") else self.uri.rstrip("/").rpartition("/")[2]

    def to_json(self) -> dict[str, Any]:
        """Return the handle as JSON values."""
        return {
            "uri": self.uri,
            "kind": self.kind.value,
            "digest": self.digest,
            "files": self.files,
            "bytes": self.bytes,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> DataHandle:
        """Read a handle back; every field is checked, because it may come from anybody.

        :raises UntrustedReferenceError: when it is no handle.
        """
        try:
            handle = cls(
                str(document["uri"]),
                TreeKind(document["kind"]),
                str(document["digest"]),
                int(document["files"]),
                int(document["bytes"]),
            )
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise UntrustedReferenceError(f"{str(document)[:200]!r} is no reference to data ({error!r}).") from error
        if not is_digest(handle.digest) or "://" not in handle.uri or min(handle.files, handle.bytes) < 0:
            raise UntrustedReferenceError(f"The reference {handle.uri[:200]!r} has no valid URI, digest and size.")
        return handle
