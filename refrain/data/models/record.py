"""ModelRecord: one version of a registered model, and all versions of a workspace.

::

    <root>/registry/models/<name>/<version>         what it is and who registered it: never changed
    <root>/registry/model-labels/<name>/<number>    description, tags and properties of a version; the newest counts
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refrain.data.handle import DataHandle
from refrain.data.models.content import Content, sound
from refrain.data.names import model_name
from refrain.data.ports import MODELS, FromModel
from refrain.data.versions import LATEST, Labels, Tags, Versions, require_readable
from refrain.errors import ModelNotFoundException
from refrain.storage.state import WorkspaceState

SCHEMA = 1


@dataclass(frozen=True)
class ModelRecord:
    """One version of a model.

    :param framework: what made it, such as ``ScikitLearn``, in the user's words.
    :param datasets: ``(what for, id)`` of datasets that it was made of.
    :param run_id: the step run that registered it; empty for a user.
    :param created: seconds since 1970.
    """

    content: Content
    description: str = ""
    tags: Tags = field(default_factory=dict)
    properties: Tags = field(default_factory=dict)
    framework: str | None = None
    framework_version: str | None = None
    datasets: tuple[tuple[str, str], ...] = ()
    run_id: str = ""
    created: float = field(default_factory=time.time)

    def is_again(self, later: ModelRecord) -> bool:
        """Say whether *later* comes from another try of the step that registered this, with the same bytes."""
        step, _, _ = self.run_id.rpartition(".")
        return bool(step) and step == later.run_id.rpartition(".")[0] and self.content.digest == later.content.digest

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {"schema": SCHEMA, **vars(self), "content": self.content.to_json()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], name: str) -> ModelRecord:
        """Read a record back.

        :raises WorkspaceSchemaError: when a newer Refrain wrote it.
        """
        require_readable(document, SCHEMA, f"Model {name!r}")
        values = {key: value for key, value in document.items() if key != "schema"}
        values["content"] = Content.from_json(values["content"])
        values["datasets"] = tuple((scenario, dataset) for scenario, dataset in values["datasets"])
        return cls(**values)


class ModelVersions(Versions):
    """The registered models of a workspace."""

    kind = MODELS
    labels_kind = "model-labels"
    noun = "model"
    unknown = ModelNotFoundException

    def get(self, name: str, version: int) -> ModelRecord:
        """Return a version as it was registered.

        :raises ModelNotFoundException: when there is none.
        """
        found = self._registry.read(self.kind, name, lambda document: ModelRecord.from_json(document, name), version)
        if found is None:
            raise ModelNotFoundException(f"Model {name!r} has no version {version}.")
        return found

    def first_labels(self, name: str, version: int) -> Labels:
        """See :meth:`Versions.first_labels`."""
        record = self.get(name, version)
        return Labels(record.description, record.tags, record.properties)

    def add(self, name: str, record: ModelRecord) -> int:
        """Register a record as the next version and return its number; a step that is tried again keeps the first one.

        :raises UserError: for an invalid name.
        """
        model_name(name)
        while True:
            newest = self.newest(name)
            if newest and self.get(name, newest).is_again(record):
                return newest
            last = self.last_taken(name)
            if self._registry.add_after(self.kind, name, record.to_json(), last):
                return last + 1

    def digests(self) -> set[str]:
        """Return the contents of all versions of all names.

        :raises WorkspaceError: when one of the records cannot be read.
        """
        found = set()
        for name in self.names():
            for number in self.numbers(name):
                with contextlib.suppress(ModelNotFoundException):  # deleted since
                    found.add(self.get(name, number).content.digest)
        return found

    def handle(self, source: FromModel, state: WorkspaceState) -> tuple[int, DataHandle]:
        """Return the version that an input names, and a reference to its bytes.

        :raises ModelNotFoundException: when there is none.
        :raises DataError: when its bytes are not what was registered.
        """
        version = self.chosen(source.name, LATEST if source.version is None else source.version)
        what = f"Version {version} of model {source.name!r}"
        return version, sound(self.get(source.name, version).content, what, state)
