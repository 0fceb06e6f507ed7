"""Model: a registered file or folder, such as the weights of a network, by name and version."""

# ruff: noqa: ARG002, ARG004 - the signatures are Azure ML's

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refrain.data.models.content import bring
from refrain.data.models.record import ModelRecord, ModelVersions
from refrain.data.models.reference import ModelInput, ModelReference
from refrain.data.models.registration import described, register
from refrain.data.models.selection import Selection
from refrain.data.ports import MODELS_FOLDER
from refrain.data.versions import Labels
from refrain.errors import DataError, UserError
from refrain.storage.local import remove_path

if TYPE_CHECKING:
    from refrain.data.datastore import HasState
    from refrain.storage.state import WorkspaceState


class Model(ModelReference):
    """One version of a registered model.

    :param workspace: where it is registered.
    :param name: its name; the newest version that fits to the rest is taken.
    :param id: ``name:version``, instead of the two.
    :param tags: keys, or pairs of a key and a value, that it must have; *properties* likewise.
    :param version: a number.
    :param run_id: the run that registered it.
    :param model_framework: what made it.
    :param expand: accepted for Azure ML's sake.
    :raises ModelNotFoundException: when there is none.
    :raises UserError: when neither a name nor an id is given.
    """

    def __init__(  # noqa: PLR0913  # Azure ML's signature
        self,
        workspace: HasState,
        name: str | None = None,
        id: str | None = None,
        tags: Any = None,
        properties: Any = None,
        version: int | None = None,
        run_id: str | None = None,
        model_framework: str | None = None,
        expand: bool = True,
        **kwargs: Any,
    ) -> None:
        if id is not None:
            name, _, number = id.rpartition(":")
            version = int(number) if number.isdecimal() else None
        if not name or (id is not None and version is None):
            raise UserError(f"Model needs a name, or an id such as 'name:1', not {id or name!r}.")
        self.workspace = workspace
        self.name = name
        self._versions = ModelVersions(workspace.state.registry)
        selection = Selection(tags, properties, run_id, model_framework)
        self.version, self._record = selection.newest(self._versions, name, version)

    @classmethod
    def _read(cls, workspace: HasState, versions: ModelVersions, name: str, version: int, record: ModelRecord) -> Model:
        """Return a version whose record has just been read."""
        model = cls.__new__(cls)
        model.workspace, model.name, model._versions = workspace, name, versions
        model.version, model._record = version, record
        return model

    @staticmethod
    def register(  # noqa: PLR0913  # Azure ML's signature
        workspace: HasState,
        model_path: str | os.PathLike[str],
        model_name: str,
        tags: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        description: str | None = None,
        datasets: Sequence[tuple[str, Any]] | None = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        child_paths: Sequence[str] | None = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: Any = None,
    ) -> Model:
        """Register a file or a folder as the next version of a name.

        :param model_path: on this machine; its bytes are copied.
        :param datasets: ``(what for, dataset)`` of what it was made of.
        :param child_paths: of a folder, the files that belong to the model; None means all.
        :raises ModelPathNotFoundException: when nothing is there.
        :raises DataError: when it cannot be read or stored.
        :raises UserError: for an invalid name.
        """
        if (sample_input_dataset, sample_output_dataset, resource_configuration) != (None, None, None):
            warnings.warn("Model.register: sample datasets and resources are not kept.", stacklevel=2)
        wanted = described(
            model_name, tags, properties, description, datasets, model_framework, model_framework_version, child_paths
        )
        sys.stdout.write(f"Registering model {model_name}\n")
        version = register(wanted, Path(model_path), workspace.state)
        return Model(workspace, model_name, version=version)

    @staticmethod
    def list(  # noqa: PLR0913  # Azure ML's signature
        workspace: HasState,
        name: str | None = None,
        tags: Any = None,
        properties: Any = None,
        run_id: str | None = None,
        latest: bool = False,
        dataset_id: str | None = None,
        expand: bool = True,
        page_count: int = 255,
        model_framework: str | None = None,
    ) -> list[Model]:
        """Return the versions that fit, those of one name together, the newest first.

        :param latest: only the newest that fits of each name.
        :param dataset_id: only those that were registered with this dataset.
        """
        selection = Selection(tags, properties, run_id, model_framework, dataset_id)
        versions = ModelVersions(workspace.state.registry)
        names = versions.names() if name is None else [name]
        most = 1 if latest else None
        found = ((of, *fitting) for of in names for fitting in islice(selection.fitting(versions, of), most))
        return [Model._read(workspace, versions, *one) for one in found]

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: HasState | None = None) -> str:
        """Copy a model to ``azureml-models/<name>/<version>/`` in the current directory and return its path there.

        In the script of a step, which needs no workspace for it, the model may be one of the step's inputs; then the
        path is that of the input.

        :param version: a number; None means the newest one.
        :raises ModelNotFoundException: when there is no such model.
        :raises UserError: outside of a step, without a workspace.
        """
        if _workspace is None:
            raise UserError(
                f"Model.get_model_path({model_name!r}) outside of a step needs _workspace=, the workspace to look in."
            )
        model = Model(_workspace, model_name, version=version)
        return model.download(Path(MODELS_FOLDER, model.name, str(model.version)), exist_ok=True)

    def as_input(self) -> ModelInput:
        """Return this version as the input of a step; ``ModelInput(name)`` is the newest one of each run."""
        return ModelInput(self.name, self.version)

    def download(
        self, target_dir: str | os.PathLike[str] = ".", exist_ok: bool = False, exists_ok: bool | None = None
    ) -> str:
        """Copy the file or the folder below *target_dir*, verified, and return its path.

        :param exist_ok: replace what is there.
        :param exists_ok: an older name of it.
        :raises DataError: when something is there, or the bytes are not those that were registered.
        """
        target = Path(target_dir) / self._record.content.name
        if os.path.lexists(target) and not (exist_ok or exists_ok):
            raise DataError(
                f"{str(target)!r} is there already. Pass exist_ok=True to replace it, or another target_dir."
            )
        self._require_there()
        if self._is_at(target):
            return str(target)
        remove_path(target)
        bring(self._record.content, str(self), target, self._state)
        return str(target)

    def delete(self) -> None:
        """Forget this version, whose number no other version gets; its bytes go when the workspace is cleaned."""
        self._require_there()
        self._versions.delete(self.name, self.version)

    def update(
        self,
        tags: Mapping[str, Any] | None = None,
        description: str | None = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: Any = None,
    ) -> None:
        """Replace the description and the tags, as far as they are given."""
        self._relabel(lambda labels: labels.updated(description, tags))

    def update_tags_properties(
        self,
        add_tags: Mapping[str, Any] | None = None,
        remove_tags: Iterable[str] | None = None,
        add_properties: Mapping[str, Any] | None = None,
    ) -> None:
        """Set tags, remove tags by their keys, and add properties, all at once.

        :raises UserError: for a property that has another value already.
        """
        wanted = add_tags or {}, remove_tags or (), add_properties or {}
        self._relabel(lambda labels: labels.untagged(wanted[1]).tagged(wanted[0]).with_properties(wanted[2], str(self)))

    def add_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; others stay."""
        self.update_tags_properties(add_tags=tags)

    def remove_tags(self, tags: Iterable[str]) -> None:
        """Remove tags by their keys."""
        self.update_tags_properties(remove_tags=tags)

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        """Add properties, which never change; raises as :meth:`update_tags_properties`."""
        self.update_tags_properties(add_properties=properties)

    def serialize(self) -> dict[str, Any]:
        """Return what is known of the model as JSON values."""
        return {
            "id": self.id,
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "tags": self.tags,
            "properties": self.properties,
            "framework": self.model_framework,
            "frameworkVersion": self.model_framework_version,
            "createdTime": self.created_time.isoformat(),
            "runId": self.run_id,
            "url": self.url,
            "datasets": [list(pair) for pair in self._record.datasets],
            "kind": self._record.content.kind.value,
            "digest": self._record.content.digest,
            "files": self._record.content.files,
            "bytes": self._record.content.bytes,
        }

    @property
    def id(self) -> str:
        """The id: ``name:version``."""
        return f"{self.name}:{self.version}"

    @property
    def description(self) -> str | None:
        """The description that it has now."""
        return self._labels().description or None

    @property
    def tags(self) -> dict[str, str]:
        """The tags that it has now."""
        return dict(self._labels().tags)

    @property
    def properties(self) -> dict[str, str]:
        """The properties that it has now."""
        return dict(self._labels().properties)

    @property
    def model_framework(self) -> str | None:
        """What made it, as it was registered."""
        return self._record.framework

    @property
    def model_framework_version(self) -> str | None:
        """The version of that."""
        return self._record.framework_version

    @property
    def run_id(self) -> str | None:
        """The step run that registered it; None where a user did."""
        return self._record.run_id or None

    @property
    def created_time(self) -> datetime:
        """When it was registered."""
        return datetime.fromtimestamp(self._record.created, timezone.utc)

    @property
    def url(self) -> str:
        """Where its file or folder is stored."""
        return self._record.content.place(self._state.stores).uri

    @property
    def _state(self) -> WorkspaceState:
        return self.workspace.state

    def _labels(self) -> Labels:
        return self._versions.labels(self.name, self.version)

    def _relabel(self, change: Any) -> None:
        self._require_there()
        self._versions.relabel(self.name, self.version, change)

    def _require_there(self) -> None:
        """Refuse a version that was deleted since.

        :raises ModelNotFoundException: when it was.
        """
        self._versions.chosen(self.name, self.version)

    def _is_at(self, path: Path) -> bool:
        try:
            return path.exists() and self._state.trees.identify(path).digest == self._record.content.digest
        except DataError:
            return False

    def __str__(self) -> str:
        return f"Version {self.version} of model {self.name!r}"

    def __repr__(self) -> str:
        return f"Model(name={self.name!r}, version={self.version})"
