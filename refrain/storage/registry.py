"""Registry: named, versioned, immutable records, such as datasets and datastores."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from refrain.errors import CorruptObjectError, RefrainError, UserError
from refrain.storage.objects import ObjectStore

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.\- ]{0,253}[A-Za-z0-9_.\-])?")
_VERSION = re.compile(r"[1-9][0-9]*")
_T = TypeVar("_T")


class Registry:
    """The ``registry/<kind>/<name>/<version>`` part of a workspace. Versions count from 1."""

    def __init__(self, objects: ObjectStore) -> None:
        """Keep everything in *objects*."""
        self._objects = objects

    def add(self, kind: str, name: str, record: Mapping[str, Any]) -> int:
        """Store *record* as the next version and return its number; safe with many writers at once.

        :raises UserError: when the name cannot be part of a path.
        """
        while True:
            newest = max(self.versions(kind, name), default=0)
            if self.add_after(kind, name, record, newest):
                return newest + 1

    def add_after(self, kind: str, name: str, record: Mapping[str, Any], newest: int) -> bool:
        """Store *record* as the version after *newest*; False when another writer has been quicker.

        :raises UserError: when the name cannot be part of a path.
        """
        if not _is_name(name):
            raise UserError(
                f"{name!r} is no valid name among the {kind}: use letters, digits, '_', '-', '.' and spaces, starting "
                "with a letter or a digit, not ending with a space, 255 at most."
            )
        data = json.dumps(record, sort_keys=True).encode()
        return self._objects.create(f"registry/{kind}/{name}/{newest + 1}", data)

    def remove(self, kind: str, name: str) -> None:
        """Delete all versions of a name, the newest first."""
        for version in reversed(self.versions(kind, name)):
            self.remove_version(kind, name, version)

    def remove_version(self, kind: str, name: str, version: int) -> None:
        """Delete one version of a name."""
        self._objects.delete(f"registry/{kind}/{name}/{version}")

    def get(self, kind: str, name: str, version: int | None = None) -> dict[str, Any] | None:
        """Return a version's record, the newest for None, or None when there is none; raises as :meth:`read`."""
        return self.read(kind, name, dict, version)

    def read(
        self, kind: str, name: str, parse: Callable[[dict[str, Any]], _T], version: int | None = None
    ) -> _T | None:
        """Return what *parse* makes of a version's record, the newest for None, or None when there is none.

        :raises CorruptObjectError: when the record is damaged, or *parse* misses something in it.
        """
        versions = self.versions(kind, name)
        wanted = version if version is not None else max(versions, default=0)
        if wanted not in versions:
            return None
        key = f"registry/{kind}/{name}/{wanted}"
        try:
            return parse(dict(json.loads(self._objects.get(key) or b"")))
        except RefrainError:
            raise
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise CorruptObjectError(f"The record {key!r} of the workspace is damaged; register it anew.") from error

    def versions(self, kind: str, name: str) -> list[int]:
        """Return the versions of a name, oldest first; none for what cannot be a name."""
        if not _is_name(name):
            return []
        return sorted(int(v) for v in self._objects.names(f"registry/{kind}/{name}") if _VERSION.fullmatch(v))

    def names(self, kind: str) -> list[str]:
        """Return the names of a kind, sorted."""
        return self._objects.names(f"registry/{kind}")

    def latest(self, kind: str) -> list[str]:
        """Return the names of a kind, that with the latest version or :meth:`refresh` first."""
        written: dict[str, float] = {}
        for stored in self._objects.walk(f"registry/{kind}"):
            name = stored.key.split("/")[2]
            written[name] = max(stored.changed, written.get(name, 0.0))
        return sorted(written, key=lambda name: (-written[name], name))

    def refresh(self, kind: str, name: str) -> None:
        """Let the newest version of a name count as written now; nothing happens when there is none."""
        key = f"registry/{kind}/{name}/{max(self.versions(kind, name), default=0)}"
        content = self._objects.get(key)
        if content is not None:
            self._objects.put(key, content)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None
