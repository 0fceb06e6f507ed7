"""Versions: what a workspace keeps under names, in numbered records that never change, with labels that do.

::

    <root>/registry/<kind>/<name>/<version>         a record
    <root>/registry/<labels>/<name>/<number>        what can change of a version; the newest entry of each counts
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import Any, ClassVar

from refrain.errors import UnknownNameError, UserError, WorkspaceSchemaError, did_you_mean, known
from refrain.storage.registry import Registry
from refrain.values import dataclass

LATEST = "latest"
_LABELS_SCHEMA = 1

Tags = Mapping[str, str]


@dataclass(frozen=True)
class Labels:
    """What can change of a version. ``is_deleted`` says that the version is gone, and that its number stays taken."""

    description: str = ""
    tags: Tags = field(default_factory=dict)
    properties: Tags = field(default_factory=dict)
    is_deleted: bool = False

    def updated(self, description: str | None, tags: Mapping[str, Any] | None) -> Labels:
        """Return labels with another description and other tags, as far as they are given."""
        described = self if description is None else replace(self, description=description)
        return described if tags is None else replace(described, tags=texts(tags))

    def tagged(self, tags: Mapping[str, Any]) -> Labels:
        """Return labels with some tags set; others stay."""
        return replace(self, tags={**self.tags, **texts(tags)})

    def untagged(self, keys: Iterable[str]) -> Labels:
        """Return labels without some tags."""
        gone = set(keys)
        return replace(self, tags={key: value for key, value in self.tags.items() if key not in gone})

    def with_properties(self, properties: Mapping[str, Any], what: str) -> Labels:
        """Return labels with more properties, which never change.

        :param what: whose labels they are, for messages.
        :raises UserError: for one that has another value already.
        """
        wanted = texts(properties)
        for key, value in wanted.items():
            if self.properties.get(key, value) != value:
                raise UserError(
                    f"{what}: its property {key!r} is {self.properties[key]!r} and cannot become {value!r}: properties "
                    "never change. Use tags for what does."
                )
        return replace(self, properties={**self.properties, **wanted})

    def to_json(self) -> dict[str, Any]:
        """Return the labels as JSON values; what only some kinds of records have is left out by the others."""
        document: dict[str, Any] = {"description": self.description, "tags": dict(self.tags)}
        if self.properties:
            document["properties"] = dict(self.properties)
        return {**document, "is_deleted": True} if self.is_deleted else document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Labels:
        """Read labels back."""
        properties, is_deleted = document.get("properties", {}), document.get("is_deleted", False)
        return cls(document["description"], dict(document["tags"]), dict(properties), is_deleted)


class Versions(ABC):
    """The names of one kind, and their versions. Safe with many writers at once."""

    kind: ClassVar[str]
    """The registry's word for the records."""
    labels_kind: ClassVar[str]
    """The registry's word for their labels."""
    noun: ClassVar[str]
    """What one of them is called in messages."""
    unknown: ClassVar[type[UnknownNameError]] = UnknownNameError

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def names(self) -> list[str]:
        """Return the names, sorted."""
        return [name for name in self._registry.names(self.kind) if self.numbers(name)]

    def numbers(self, name: str) -> list[int]:
        """Return the versions of a name, oldest first."""
        return self._registry.versions(self.kind, name)

    def newest(self, name: str) -> int:
        """Return the newest version of a name, 0 when there is none."""
        return max(self.numbers(name), default=0)

    def chosen(self, name: str, version: int | str) -> int:
        """Return a version that is there.

        :param version: a number, or ``latest``.
        :raises UnknownNameError: when there is no such name or version.
        :raises UserError: for a version that is neither.
        """
        numbers = self.numbers(name)
        if not numbers:
            names = self.names()
            raise self.unknown(f"Unknown {self.noun} {name!r}. Known: {known(names)}.{did_you_mean(name, names)}")
        wanted = numbers[-1] if version == LATEST else self._number(name, version)
        if wanted not in numbers:
            there = ", ".join(map(str, numbers))
            raise self.unknown(f"{self.noun.capitalize()} {name!r} has no version {wanted}. Known: {there}.")
        return wanted

    def remove(self, name: str) -> None:
        """Forget all versions of a name; what they describe stays."""
        self._registry.remove(self.kind, name)
        self._registry.remove(self.labels_kind, name)

    def labels(self, name: str, version: int) -> Labels:
        """Return what a version's description, tags and properties are now."""
        for labelled, labels in self._entries(name):
            if labelled == version:
                return labels
        return self.first_labels(name, version)

    def relabel(self, name: str, version: int, change: Callable[[Labels], Labels]) -> None:
        """Change the labels of a version; no change of another writer at the same time is lost."""
        while True:
            newest = max(self._registry.versions(self.labels_kind, name), default=0)
            labels = change(self.labels(name, version))
            entry = {"schema": _LABELS_SCHEMA, "version": version, **labels.to_json()}
            if self._registry.add_after(self.labels_kind, name, entry, newest):
                return

    def delete(self, name: str, version: int) -> None:
        """Forget one version, whose number no other version gets."""
        self.relabel(name, version, lambda labels: replace(labels, is_deleted=True))
        self._registry.remove_version(self.kind, name, version)

    def last_taken(self, name: str) -> int:
        """Return the highest number that a version of the name has, or had before it was deleted."""
        return max((self.newest(name), *(version for version, _ in self._entries(name))))

    @abstractmethod
    def first_labels(self, name: str, version: int) -> Labels:
        """Return the labels that a version was registered with; none of a version that is not there."""

    def _entries(self, name: str) -> Iterator[tuple[int, Labels]]:
        for number in reversed(self._registry.versions(self.labels_kind, name)):
            entry = self._registry.read(self.labels_kind, name, _entry, number)
            if entry is not None:
                yield entry

    def _number(self, name: str, version: int | str) -> int:
        try:
            return int(version)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"{self.noun.capitalize()} {name!r}: the version {version!r} is neither a number nor 'latest'."
            ) from error


def _entry(document: Mapping[str, Any]) -> tuple[int, Labels]:
    return int(document["version"]), Labels.from_json(document)


def texts(labels: Mapping[str, Any] | None) -> dict[str, str]:
    """Return tags or properties as texts."""
    return {str(key): str(value) for key, value in (labels or {}).items()}


def require_readable(document: Mapping[str, Any], newest: int, what: str) -> None:
    """Refuse a record of a newer schema.

    :raises WorkspaceSchemaError: when it is.
    """
    if document["schema"] > newest:
        raise WorkspaceSchemaError(
            f"{what} was registered by a newer Refrain: its record has schema {document['schema']}, this one reads up "
            f"to {newest}. Upgrade Refrain."
        )
