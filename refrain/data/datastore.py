"""Datastore: a named place for data, as users hold it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from refrain.data.reference import DataReference
from refrain.storage.datastores import DatastoreLocation

if TYPE_CHECKING:
    from refrain.storage.state import WorkspaceState


class HasState(Protocol):
    """What a datastore needs of a workspace."""

    @property
    def state(self) -> WorkspaceState:
        """The workspace's durable state."""


class Datastore:
    """A datastore of a workspace; the constructor looks it up, as Azure ML's does.

    :param name: None for the workspace's default datastore.
    :raises UnknownNameError: when the workspace has no such datastore.
    """

    def __init__(self, workspace: HasState, name: str | None = None) -> None:
        self._table = workspace.state.datastores
        self._location: DatastoreLocation = self._table.get(name or self._table.default())

    @staticmethod
    def get(workspace: HasState, datastore_name: str) -> Datastore:
        """Return the datastore of this name; raises as the constructor."""
        return Datastore(workspace, datastore_name)

    @staticmethod
    def get_default(workspace: HasState) -> Datastore:
        """Return the workspace's default datastore."""
        return Datastore(workspace)

    @staticmethod
    def register_folder(workspace: HasState, datastore_name: str, folder: str | os.PathLike[str]) -> Datastore:
        """Let a name stand for a local folder, which must exist, and return the datastore.

        :raises UserError: for an invalid name or a missing folder.
        """
        workspace.state.datastores.register(datastore_name, folder)
        return Datastore(workspace, datastore_name)

    @property
    def name(self) -> str:
        """The name in the workspace."""
        return self._location.name

    @property
    def root(self) -> str:
        """The folder that the datastore stands for."""
        return str(self._location.root)

    def path(self, path: str | None = None, data_reference_name: str | None = None) -> DataReference:
        """Return a reference to *path* on this datastore; None means its root."""
        return DataReference(self, data_reference_name=data_reference_name, path_on_datastore=path)

    def set_as_default(self) -> None:
        """Make this the workspace's default datastore."""
        self._table.set_default(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Datastore) and other._location == self._location

    def __hash__(self) -> int:
        return hash(self._location)

    def __repr__(self) -> str:
        return f"Datastore({self.name!r}, {self.root!r})"
