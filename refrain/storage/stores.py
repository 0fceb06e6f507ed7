"""Stores: from a datastore, a path or a URI to the place that it names."""

from __future__ import annotations

import os

from refrain.storage.datastores import DatastoreTable, normalized
from refrain.storage.local import LocalStore, local_path
from refrain.storage.store import Place
from refrain.storage.trees import Trees


class Stores:
    """Every store that a workspace can reach."""

    def __init__(self, datastores: DatastoreTable, trees: Trees) -> None:
        """Know the datastores of a table, and local files by *trees*."""
        self._datastores = datastores
        self._local = LocalStore(trees)

    def on(self, datastore: str, path: str) -> Place:
        """Return the place of a path on a datastore; ``""``, ``"."`` and ``"/"`` mean its root.

        :raises UnknownNameError: when there is no such datastore.
        :raises UserError: when the path would leave the datastore.
        """
        return Place(self._local, str(self._datastores.get(datastore).root)).below(normalized(path))

    def at(self, uri: str) -> Place:
        """Return the place that a URI names.

        :raises UntrustedReferenceError: when no store can lead there.
        """
        return self.local(local_path(uri))

    def local(self, path: str | os.PathLike[str]) -> Place:
        """Return the place of an absolute local path."""
        return Place(self._local, os.fspath(path))

    def datastore_of(self, place: Place) -> tuple[str, str] | None:
        """Return the name of a datastore that holds a place, and the path there; None when there is none."""
        for name in self._datastores.names():
            root = self.on(name, "")
            if root.covers(place):
                return name, place.path[len(root.path) :].strip("/")
        return None
