"""Explain: what differs between a step and its nearest earlier result, in words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from refrain.errors import RefrainError
from refrain.reuse.decision import Change
from refrain.reuse.preimage import Preimage, canonical
from refrain.reuse.record import ReuseRecord
from refrain.storage.blobs import BlobStore, blob_key
from refrain.storage.digest import digest_bytes
from refrain.storage.manifest import Manifest, difference
from refrain.storage.objects import ObjectStore

ManifestOf = Callable[[str], "Manifest | None"]

_ABSENT = object()
_MOST_PACKAGES = 3
_PACKAGES = ("environment", "packages")
_VERSION = re.compile(r"==| @ ")


def no_manifest(_digest: str) -> Manifest | None:
    """Know no manifest beyond the stored ones."""
    return None


class Explainer:
    """Compares preimages, and names files and packages where only digests differ."""

    def __init__(self, objects: ObjectStore, blobs: BlobStore) -> None:
        """Look up manifests and package lists in a workspace."""
        self._objects = objects
        self._blobs = blobs

    def nearest(self, current: Preimage, earlier: Sequence[ReuseRecord]) -> ReuseRecord | None:
        """Return the record that differs in the fewest places; of equals the first."""
        return min(earlier, key=lambda record: len(list(_differences(record.preimage, current))), default=None)

    def changes(
        self, old: Preimage, new: Preimage, manifest_of: ManifestOf = no_manifest, packages: bytes = b""
    ) -> tuple[Change, ...]:
        """Return what changed from *old* to *new*, in the order of a preimage.

        :param packages: the list of the new one's packages, which may not be stored yet.
        """
        return tuple(
            Change("packages", self._packages(before, after, packages))
            if place == _PACKAGES
            else self._describe(place, before, after, manifest_of)
            for place, before, after in _differences(old, new)
        )

    def _describe(self, place: tuple[str, ...], before: Any, after: Any, manifest_of: ManifestOf) -> Change:
        head, *rest = place
        if head == "after":
            return Change("order", "a step that it comes after (run_after) has another result")
        if head == "snapshot":
            return Change("source", self._files(before, after, manifest_of))
        if head == "inputs" and isinstance(before, dict) and isinstance(after, dict):
            return self._input(rest[0], before, after, manifest_of)
        if place[:2] == ("environment", "variables"):
            return Change(f"environment variable {rest[1]}", _arrow(before, after))
        if _is_spark(before) and _is_spark(after):
            return Change(
                "Spark", ", ".join(f"{k} {_arrow(b, a)}" for (_, k), b, a in _by_key("", before[1], after[1]))
            )
        if head == "foreign":
            return Change(
                f"code at {rest[0]}",
                "content changed" if isinstance(before, str) and isinstance(after, str) else _arrow(before, after),
            )
        if head in _TITLES and rest:
            return Change(f"{_TITLES[head]} {rest[0]}", _arrow(before, after))
        return Change(_TITLES.get(".".join(place), " ".join(place)), _arrow(before, after))

    def _input(self, name: str, before: Preimage, after: Preimage, manifest_of: ManifestOf) -> Change:
        if before.get("recipe") != after.get("recipe"):
            return Change(f"input {name}", _recipes(before.get("recipe"), after.get("recipe")))
        if before["digest"] == after["digest"]:
            return Change(f"input {name}", _arrow(before, after))
        return Change(f"input {name}", self._files(before["digest"], after["digest"], manifest_of))

    def _files(self, before: str, after: str, manifest_of: ManifestOf) -> str:
        try:
            old, new = self._blobs.get_manifest(before), self._blobs.get_manifest(after) or manifest_of(after)
        except RefrainError:
            old = new = None
        if old is None or new is None:
            return f"content changed ({before[:8]} → {after[:8]})"
        return difference(old, new).describe()

    def _packages(self, before: Any, after: Any, packages: bytes) -> str:
        old, new = self._versions(str(before)), _versions(packages, str(after)) or self._versions(str(after))
        if old is None or new is None:
            return "changed"
        names = sorted(n for n in old.keys() | new.keys() if old.get(n) != new.get(n))
        shown = [f"{n} {old.get(n, 'absent')} → {new.get(n, 'absent')}" for n in names[:_MOST_PACKAGES]]
        more = len(names) - _MOST_PACKAGES
        return ", ".join(shown) + (f" and {more} more" if more > 0 else "")

    def _versions(self, digest: str) -> dict[str, str] | None:
        """Return a stored package list, or None when it is not there or damaged."""
        try:
            text = self._objects.get(blob_key(digest))
        except RefrainError:
            return None
        return None if text is None else _versions(text, digest)


def _versions(text: bytes, digest: str) -> dict[str, str] | None:
    """Return a list of packages by name, or None when it is another one; one from an address has that for a version."""
    if digest_bytes(text) != digest:
        return None
    pairs = (_VERSION.split(line, maxsplit=1) for line in text.decode().splitlines())
    return {pair[0]: pair[-1] for pair in pairs}


_TITLES = {
    "is_part": "only a part of the source counts",
    "parameters": "parameter",
    "outputs": "output",
    "command": "argument",
    "environment.python": "Python",
    "environment.platform": "platform",
}


def _differences(old: Preimage, new: Preimage) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    for key in ("kind", "version", "snapshot", "is_part", "after", "schema"):
        if not _is_same(old.get(key), new.get(key)):
            yield (key,), old.get(key), new.get(key)
    commands = (dict(enumerate(_words(old["command"]), 0)), dict(enumerate(_words(new["command"]), 0)))
    yield from _by_key(
        "command", {str(k): v for k, v in commands[0].items()}, {str(k): v for k, v in commands[1].items()}
    )
    for group in ("parameters", "inputs", "outputs"):
        yield from _by_key(group, old[group], new[group])
    yield from _by_key("foreign", old.get("foreign", {}), new.get("foreign", {}))
    before, after = old["environment"], new["environment"]
    for key in ("python", "platform", "packages"):
        if before[key] != after[key]:
            yield ("environment", key), before[key], after[key]
    for place, was, now in _by_key("variables", before["variables"], after["variables"]):
        yield ("environment", *place), was, now


def _recipes(before: str | None, after: str | None) -> str:
    """Say which parts of a dataset's recipe differ."""
    if before is None or after is None:
        return "chosen from its files now" if after else "all of its files now"
    old, new = json.loads(before), json.loads(after)
    parts = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    return "; ".join(f"its {part}: {json.dumps(old.get(part))} → {json.dumps(new.get(part))}" for part in parts)


def _is_spark(token: Any) -> bool:
    return isinstance(token, list) and token[:1] == ["spark"]


def _words(command: Sequence[Sequence[Any]]) -> list[Any]:
    """Leave the parameters' values to the group of parameters, so that one change is told once."""
    return [["parameter"] if token[0] == "parameter" else list(token) for token in command]


def _by_key(group: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key, _ABSENT), new.get(key, _ABSENT)
        if before is _ABSENT or after is _ABSENT or not _is_same(before, after):
            yield (group, key), before, after


def _is_same(before: Any, after: Any) -> bool:
    """Compare as a fingerprint does, for which ``1``, ``1.0`` and ``True`` differ, and ``0.0`` and ``-0.0``."""
    return before is after or canonical(before) == canonical(after)


def _arrow(before: Any, after: Any) -> str:
    return f"{_shown(before)} → {_shown(after)}"


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "absent"
    if isinstance(value, dict) and set(value) == {"secret"}:
        return "(secret)"
    if isinstance(value, list):
        kind, *rest = [str(value[0]), *map(repr, value[1:])]
        return " ".join(rest if rest and kind in ("literal", "parameter") else [kind, *rest])
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items() if k != "digest")
    return repr(value)
