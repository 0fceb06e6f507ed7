"""Stores: from a datastore, a path or a URI to the place that it names."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from refrain.errors import UnknownNameError, UntrustedReferenceError
from refrain.storage.cache import WorkerCache
from refrain.storage.datastores import DatastoreLocation, normalized
from refrain.storage.knowledge import Knowledge
from refrain.storage.local import LocalStore, local_text
from refrain.storage.root import Root
from refrain.storage.store import TABLE_SCHEME, Place, Store
from refrain.storage.trees import Trees

if TYPE_CHECKING:
    from refrain.storage.remote import RemoteStore
    from refrain.storage.sql.address import DatabaseLocation
    from refrain.storage.sql.database import Database
    from refrain.storage.sql.relation import SqlTable
    from refrain.storage.sql.table_store import TableStore


class Datastores(Protocol):
    """What is asked of a workspace's table of datastores."""

    def get(self, name: str) -> DatastoreLocation:
        """Return the datastore of this name.

        :raises UnknownNameError: when there is none.
        """

    def database(self, name: str) -> DatabaseLocation:
        """Return the database of this name; raises as :meth:`get`."""

    def of_files(self) -> list[DatastoreLocation]:
        """Return every datastore that keeps files, sorted by name."""


class NoDatastores:
    """The datastores of nobody's workspace: there are none."""

    def get(self, name: str) -> DatastoreLocation:
        """Raise; see :meth:`Datastores.get`."""
        raise _nobodys(name)

    def database(self, name: str) -> DatabaseLocation:
        """Raise; see :meth:`Datastores.get`."""
        raise _nobodys(name)

    def of_files(self) -> list[DatastoreLocation]:
        """Return none."""
        return []


def _nobodys(name: str) -> UnknownNameError:
    return UnknownNameError(
        f"Unknown datastore {name!r}: no workspace is at hand. Open the dataset through a workspace that has it."
    )


class Stores:
    """Every store that a workspace can reach."""

    def __init__(self, datastores: Datastores, trees: Trees, knowledge: Knowledge) -> None:
        """Know the datastores of a table, and local files by *trees*."""
        self._datastores = datastores
        self._knowledge = knowledge
        self._local = LocalStore(trees)
        self._remote: dict[DatastoreLocation, RemoteStore] = {}
        self._lock = threading.Lock()

    @cached_property
    def _tables(self) -> TableStore:
        from refrain.storage.sql.table_store import TableStore

        return TableStore(self.database)

    @property
    def cache(self) -> WorkerCache:
        """The cache of remote objects on this machine."""
        return self._knowledge.cache

    def on(self, datastore: str, path: str) -> Place:
        """Return the place of a path on a datastore; ``""``, ``"."`` and ``"/"`` mean its root.

        :raises UnknownNameError: when there is no such datastore.
        :raises UserError: when the path would leave the datastore.
        """
        return self._root(self._datastores.get(datastore)).below(normalized(path))

    def within(self, root: Root) -> Place:
        """Return the place of a workspace's root."""
        return self._root(DatastoreLocation("", root.folder, root.url, root.conn_id, root.options))

    def database(self, datastore: str) -> Database:
        """Return the database that a datastore stands for; nothing is connected.

        :raises UnknownNameError: when there is no such datastore.
        :raises UserError: when it keeps files.
        """
        from refrain.storage.sql.database import Database

        return Database(self._datastores.database(datastore))

    def table(self, datastore: str, table: SqlTable) -> Place:
        """Return the place of a table of a database; nothing is connected."""
        from refrain.storage.sql.table_store import table_uri

        return Place(self._tables, table_uri(datastore, table))

    def at(self, uri: str) -> Place:
        """Return the place that a URI names: on the datastore that holds it, or with the environment's credentials.

        :raises UntrustedReferenceError: when no store can lead there.
        """
        scheme, separator, rest = uri.partition("://")
        if not separator or not rest.strip("/") or ".." in rest.split("/"):
            raise UntrustedReferenceError(f"{uri[:200]!r} names no data: it is no URI such as 's3://bucket/folder'.")
        if scheme == "file":
            return self.local(local_text(uri))
        if scheme == TABLE_SCHEME:
            from refrain.storage.sql.table_store import table_of

            return self.table(*table_of(uri))
        locations = self._datastores.of_files()
        holding = [location for location in locations if location.url and f"{uri}/".startswith(f"{location.url}/")]
        host = DatastoreLocation("", None, f"{scheme}://{rest.partition('/')[0]}")
        return Place(self._store(max(holding, key=lambda location: len(location.url), default=host)), uri)

    def named(self, text: str) -> Place:
        """Return the place of an absolute local path or a URL, as users write them."""
        return self.at(text) if "://" in text else self.local(text)

    def of(self, locations: Iterable[tuple[str | None, str]]) -> list[Place]:
        """Return places: of a path on a datastore of that name, or as :meth:`named` where there is none."""
        return [self.named(path) if name is None else self.on(name, path) for name, path in locations]

    def local(self, path: str | os.PathLike[str]) -> Place:
        """Return the place of an absolute local path."""
        return Place(self._local, os.fspath(path))

    def locations(self) -> list[DatastoreLocation]:
        """Return every datastore that keeps files as it is now, sorted by name."""
        return self._datastores.of_files()

    def datastore_of(self, place: Place, among: list[DatastoreLocation] | None = None) -> tuple[str, str] | None:
        """Return the name of a datastore that holds a place, and the path there; None when there is none.

        :param among: what :meth:`locations` said, for who asks about many places; None asks it.
        """
        if place.path.startswith(f"{TABLE_SCHEME}://"):
            from refrain.storage.sql.table_store import table_of

            datastore, table = table_of(place.path)
            return datastore, table.name
        for location in self.locations() if among is None else among:
            root = self._root(location)
            if root.covers(place):
                return location.name, place.path[len(root.path) :].strip("/")
        return None

    def _root(self, location: DatastoreLocation) -> Place:
        return Place(self._store(location), location.address)

    def _store(self, location: DatastoreLocation) -> Store:
        if location.folder is not None:
            return self._local
        from refrain.storage.filesystem import FileSystem
        from refrain.storage.remote import RemoteStore

        with self._lock:
            if location not in self._remote:
                files = FileSystem(location.url, location.conn_id, dict(location.options))
                self._remote[location] = RemoteStore(files, self._knowledge)
            return self._remote[location]
