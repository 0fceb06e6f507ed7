"""Registered datasets: versions of definitions under names, in a workspace.

::

    <root>/registry/datasets/<name>/<version>       a definition, and of a step's output what was there: never changed
    <root>/registry/dataset-labels/<name>/<number>  the description and the tags of a version; the newest counts
    <root>/registry/dataset-ids/<id>/<number>       a version with this id; the newest one that is there counts
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from refrain.data.handle import DataHandle
from refrain.data.ports import DATASETS
from refrain.data.recipe import canonical, dataset_id, recipe_of
from refrain.data.versions import Labels, Tags, Versions, require_readable
from refrain.errors import UserError
from refrain.values import dataclass

SCHEMA = 2
_OUTPUT_SCHEMA = 1  # a record that is the handle of a step's output, without a definition
_IDS = "dataset-ids"
_IDS_SCHEMA = 1


@dataclass(frozen=True)
class DatasetRecord:
    """One version of a dataset.

    :param definition: see :func:`refrain.data.definition.dataset_from`.
    :param content: for the output of a step, what it was when the step completed.
    :param run_id: the step run that registered it; empty for a user.
    :param created: seconds since 1970.
    """

    definition: Mapping[str, Any]
    description: str = ""
    tags: Tags = field(default_factory=dict)
    content: DataHandle | None = None
    run_id: str = ""
    created: float = field(default_factory=time.time)

    @property
    def id(self) -> str:
        """The id of the definition."""
        return dataset_id(canonical(self.definition))

    def is_same(self, other: DatasetRecord) -> bool:
        """Say whether both are one version: of outputs the content and how it is read, otherwise the definition."""
        if self.content is not None or other.content is not None:
            return self.content == other.content and recipe_of(self.definition) == recipe_of(other.definition)
        return canonical(self.definition) == canonical(other.definition)

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {
            "schema": SCHEMA,
            "id": self.id,
            "definition": dict(self.definition),
            "description": self.description,
            "tags": dict(self.tags),
            "content": self.content.to_json() if self.content else None,
            "run_id": self.run_id,
            "created": self.created,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], name: str) -> DatasetRecord:
        """Read a record back, also one of the first schema.

        :raises WorkspaceSchemaError: when a newer Refrain wrote it.
        """
        require_readable(document, SCHEMA, f"Dataset {name!r}")
        is_handle = document["schema"] == _OUTPUT_SCHEMA
        content = document if is_handle else document["content"]
        handle = DataHandle.from_json(content) if content else None
        definition = files_definition("", handle.location) if is_handle and handle else document["definition"]
        labels = document["description"], document["tags"]
        return cls(definition, *labels, handle, document["run_id"], document["created"])


def files_definition(datastore: str, path: str) -> dict[str, Any]:
    """Return the definition of the file dataset of all files at one place."""
    source = {"origin": "stored", "places": [[datastore, path]]}
    return {"schema": 1, "kind": "file", "source": source, "operations": [], "partition_format": None}


class DatasetVersions(Versions):
    """The registered datasets of a workspace."""

    kind = DATASETS
    labels_kind = "dataset-labels"
    noun = "dataset"

    def get(self, name: str, version: int) -> DatasetRecord | None:
        """Return a version as it was registered; None when there is none."""
        return self._registry.read(DATASETS, name, lambda document: DatasetRecord.from_json(document, name), version)

    def first_labels(self, name: str, version: int) -> Labels:
        """See :meth:`Versions.first_labels`."""
        record = self.get(name, version)
        return Labels(record.description, dict(record.tags)) if record else Labels()

    def find(self, wanted_id: str) -> tuple[str, int] | None:
        """Return the name and the version that got an id last; None when none has it.

        Ids of a workspace from before they were noted are looked for in all records, once.
        """
        for number in reversed(self._registry.versions(_IDS, wanted_id)):
            noted = self._registry.read(_IDS, wanted_id, lambda note: (str(note["name"]), int(note["version"])), number)
            if noted is not None and self._has_id(*noted, wanted_id):
                return noted
        for name in self.names():
            for version in reversed(self.numbers(name)):
                if self._has_id(name, version, wanted_id):
                    self._note_id(wanted_id, name, version)
                    return name, version
        return None

    def add(self, name: str, record: DatasetRecord, create_new_version: bool = True) -> int:
        """Register a record and return its version: the newest one, if that is the same.

        :param create_new_version: False refuses another definition than that of an earlier version.
        :raises UserError: when it is refused, or the name is invalid.
        """
        while True:
            versions = self.numbers(name)
            for version in versions[-1:] if create_new_version else reversed(versions):
                earlier = self.get(name, version)
                if earlier is not None and earlier.is_same(record):
                    return version
            newest = max(versions, default=0)
            if newest and not create_new_version:
                raise UserError(
                    f"There is already a dataset registered under the name {name!r}, with another definition (its "
                    f"newest version is {newest}). Pass create_new_version=True to register this one as version "
                    f"{newest + 1}."
                )
            if self._registry.add_after(DATASETS, name, record.to_json(), newest):
                self._note_id(record.id, name, newest + 1)
                return newest + 1

    def _has_id(self, name: str, version: int, wanted_id: str) -> bool:
        record = self.get(name, version)
        return record is not None and record.id == wanted_id

    def _note_id(self, id_: str, name: str, version: int) -> None:
        self._registry.add(_IDS, id_, {"schema": _IDS_SCHEMA, "name": name, "version": version})
