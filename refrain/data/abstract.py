"""AbstractDataset: what file and tabular datasets have in common: a definition, an id, and a place in the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from refrain.data.data_value import DataValue
from refrain.data.ports import InputMode
from refrain.data.recipe import canonical, dataset_id, recipe_of
from refrain.data.registered import DatasetRecord, DatasetVersions
from refrain.data.versions import Labels, texts
from refrain.errors import UserError
from refrain.values import dataclass

if TYPE_CHECKING:
    from typing_extensions import Self

    from refrain.data.datastore import HasState
    from refrain.storage.state import WorkspaceState

D = TypeVar("D", bound="AbstractDataset")


@dataclass(frozen=True)
class Registered:
    """Under which name and version a dataset is registered, and where."""

    state: WorkspaceState
    name: str
    version: int

    @property
    def versions(self) -> DatasetVersions:
        """The registered datasets of the workspace."""
        return DatasetVersions(self.state.registry)


class AbstractDataset(ABC):
    """A dataset: a definition that never changes, over files that may."""

    registered: Registered | None

    input_modes: ClassVar[tuple[InputMode, ...]] = tuple(InputMode)

    @abstractmethod
    def as_value(self) -> DataValue:
        """Return what a pipeline parameter holds of it."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return the definition as JSON values."""

    @property
    def identity(self) -> str:
        """The definition as canonical JSON."""
        return canonical(self.to_json())

    @property
    def recipe(self) -> str:
        """The identity without the places: what enters a fingerprint, for the files' content is counted apart."""
        return recipe_of(self.to_json())

    @property
    def id(self) -> str:
        """The id of the definition, which has the form of a UUID."""
        return dataset_id(self.identity)

    @property
    def name(self) -> str | None:
        """The name that it is registered under; None for a dataset that is not, or was changed since."""
        return self.registered.name if self.registered else None

    @property
    def version(self) -> int | None:
        """The version that it is registered as."""
        return self.registered.version if self.registered else None

    @property
    def description(self) -> str | None:
        """The description that it is registered with."""
        return self._labels().description or None

    @property
    def tags(self) -> dict[str, str]:
        """The tags that its version has now."""
        return dict(self._labels().tags)

    @property
    def text(self) -> str:
        """Its name and version if it is registered, else its definition: what reads back as the same dataset."""
        return f"{self.name}:{self.version}" if self.name else self.identity

    def register(
        self,
        workspace: HasState,
        name: str,
        description: str | None = None,
        tags: Mapping[str, Any] | None = None,
        create_new_version: bool = False,
    ) -> Self:
        """Register the definition under a name and return the dataset as that version.

        A definition that is the newest version already keeps that version, with the description and the tags that it
        has.

        :param create_new_version: register another definition than the name has as its next version.
        :raises UserError: for another definition without *create_new_version*, or an invalid name.
        """
        record = DatasetRecord(self.to_json(), description or "", texts(tags))
        version = DatasetVersions(workspace.state.registry).add(name, record, create_new_version)
        return _as(self, Registered(workspace.state, name, version))

    def update(self, description: str | None = None, tags: Mapping[str, Any] | None = None) -> Self:
        """Replace the description and the tags of this version, as far as they are given, and return the dataset."""
        return self._relabeled(lambda labels: labels.updated(description, tags))

    def add_tags(self, tags: Mapping[str, Any] | None = None) -> Self:
        """Set tags of this version, others stay, and return the dataset."""
        return self._relabeled(lambda labels: labels.tagged(tags or {}))

    def remove_tags(self, tags: Iterable[str] | None = None) -> Self:
        """Remove tags of this version by their keys and return the dataset."""
        return self._relabeled(lambda labels: labels.untagged(tags or ()))

    def unregister_all_versions(self) -> None:
        """Forget every version of the name; the data stays."""
        registered = self._require_registered("unregister_all_versions")
        registered.versions.remove(registered.name)

    def _labels(self) -> Labels:
        known = self.registered
        return known.versions.labels(known.name, known.version) if known else Labels()

    def _relabeled(self, change: Callable[[Labels], Labels]) -> Self:
        registered = self._require_registered("A change of description or tags")
        registered.versions.relabel(registered.name, registered.version, change)
        return self

    def _require_registered(self, what: str) -> Registered:
        if self.registered is None:
            raise UserError(f"{what} needs a registered dataset: call register(workspace, 'name') first.")
        return self.registered


def _as(dataset: D, registered: Registered) -> D:
    made: D = replace(dataset, registered=registered)  # type: ignore[type-var]  # its subclasses are dataclasses
    return made
