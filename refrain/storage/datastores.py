"""Datastores: where a workspace keeps data, by name."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from refrain.errors import UnknownNameError, UserError, WorkspaceSchemaError, did_you_mean, known
from refrain.storage.connections import is_secret_name
from refrain.storage.registry import Registry
from refrain.storage.root import Option, Root
from refrain.values import dataclass

if TYPE_CHECKING:
    from refrain.storage.sql.address import DatabaseLocation

BLOB_STORE = "workspaceblobstore"
FILE_STORE = "workspacefilestore"
BUILT_IN = (BLOB_STORE, FILE_STORE)

_NAME = re.compile(r"\w+", re.ASCII)  # Azure ML's rule; the name also names an input
_KIND = "datastores"
_URL_SCHEMA = 2
_DATABASE_SCHEMA = 3

WAY_OUT = "Make an Airflow connection (or set AIRFLOW_CONN_<ID>) that holds the credentials, and give its conn_id."
_DEFAULT = "default-datastore"


@dataclass(frozen=True)
class DatastoreLocation:
    """A datastore's name and what it stands for: a folder of this machine, or a URL on another file system.

    :param folder: None for a URL.
    :param conn_id: the Airflow connection with the credentials; None means those of the environment.
    :param options: what the file system takes beside them, none of it secret.
    """

    name: str
    folder: Path | None
    url: str = ""
    conn_id: str | None = None
    options: tuple[tuple[str, Option], ...] = ()

    @property
    def root(self) -> Path:
        """The local folder.

        :raises UserError: when the datastore is not on this machine.
        """
        if self.folder is None:
            raise UserError(f"Datastore {self.name!r} at {self.url} is no folder of this machine.")
        return self.folder

    @property
    def address(self) -> str:
        """The folder or the URL."""
        return self.url if self.folder is None else str(self.folder)

    def resolve(self, path: str) -> Path:
        """Return the local path of *path* on this datastore; ``""``, ``"."`` and ``"/"`` mean its root.

        :raises UserError: when the path would leave the datastore, or it is not on this machine.
        """
        return self.root / normalized(path)


class DatastoreTable:
    """The datastores of a workspace: two built-in ones and those that were registered."""

    def __init__(self, root: Root, registry: Registry) -> None:
        """Keep the built-in datastores' files below *root* and the registrations in *registry*."""
        self._registry = registry
        self._built_in = {name: _below(root, name) for name in sorted(BUILT_IN)}

    def get(self, name: str) -> DatastoreLocation:
        """Return the datastore of this name, which keeps files.

        :raises UnknownNameError: when there is none.
        :raises UserError: when it is a database.
        """
        found = self.find(name)
        if not isinstance(found, DatastoreLocation):
            raise UserError(
                f"Datastore {name!r} is a database and has no files or paths. Read it with "
                "Dataset.Tabular.from_sql_query((datastore, 'SELECT …')), or copy it with a DataTransferStep."
            )
        return found

    def database(self, name: str) -> DatabaseLocation:
        """Return the datastore of this name, which is a database.

        :raises UnknownNameError: when there is none.
        :raises UserError: when it keeps files.
        """
        found = self.find(name)
        if isinstance(found, DatastoreLocation):
            raise UserError(
                f"Datastore {name!r} at {found.address} keeps files and is no database. Register one with "
                "Datastore.register_sql(workspace, name, 'postgresql://host/database', conn_id)."
            )
        return found

    def find(self, name: str) -> DatastoreLocation | DatabaseLocation:
        """Return the datastore of this name, of either kind.

        :raises UnknownNameError: when there is none.
        """
        registered = self._registry.read(_KIND, name, lambda record: _location(name, record))
        if registered is not None:
            return registered
        if name in self._built_in:
            return self._built_in[name]
        raise UnknownNameError(
            f"Unknown datastore {name!r}. Known: {known(self.names())}.{did_you_mean(name, self.names())} "
            "Register a folder with Datastore.register_folder(workspace, name, folder)."
        )

    def register(self, name: str, folder: str | os.PathLike[str]) -> DatastoreLocation:
        """Let *name* stand for a folder, which must exist.

        :raises UserError: for an invalid name or a missing folder.
        """
        _require_name(name)
        path = Path(os.path.abspath(os.path.expanduser(folder)))
        if not path.is_dir():
            raise UserError(f"Datastore {name!r}: the folder {str(path)!r} does not exist; create it first.")
        self._registry.add(_KIND, name, {"schema": 1, "folder": str(path)})
        return DatastoreLocation(name, path)

    def register_url(
        self, name: str, url: str, conn_id: str | None = None, options: Mapping[str, Option] | None = None
    ) -> DatastoreLocation:
        """Let *name* stand for a URL; nothing is looked up there.

        :param options: arguments of the file system, such as ``endpoint_url``; nothing secret.
        :raises UserError: for an invalid name or URL, or a secret in either.
        """
        _require_name(name)
        _require_url(name, url)
        _require_public(name, options or {})
        given = tuple(sorted((options or {}).items()))
        made = DatastoreLocation(name, None, url.rstrip("/"), conn_id, given)
        self._require_apart(made)
        record = {"schema": _URL_SCHEMA, "url": made.url, "conn_id": conn_id, "options": dict(given)}
        if self._registry.get(_KIND, name) != record:
            self._registry.add(_KIND, name, record)
        return made

    def register_database(self, name: str, url: str, conn_id: str | None = None) -> DatabaseLocation:
        """Let *name* stand for a database; nothing is connected.

        :raises UserError: for an invalid name or URL, or a password in it.
        """
        _require_name(name)
        from refrain.storage.sql.address import DatabaseAddress, DatabaseLocation

        made = DatabaseLocation(name, DatabaseAddress.parse(name, url), conn_id)
        record = {"schema": _DATABASE_SCHEMA, "database": made.address, "conn_id": conn_id}
        if self._registry.get(_KIND, name) != record:
            self._registry.add(_KIND, name, record)
        return made

    def names(self) -> list[str]:
        """Return every datastore's name, sorted."""
        return sorted({*BUILT_IN, *self._registry.names(_KIND)})

    def of_files(self) -> list[DatastoreLocation]:
        """Return every datastore that keeps files, sorted by name."""
        registered = self._registry.names(_KIND)
        if not registered:
            return list(self._built_in.values())
        built_in = (location for name, location in self._built_in.items() if name not in registered)
        found = sorted((*built_in, *map(self.find, registered)), key=lambda location: location.name)
        return [location for location in found if isinstance(location, DatastoreLocation)]

    def default(self) -> str:
        """Return the default datastore's name."""
        return self._registry.read(_DEFAULT, "name", lambda record: str(record["datastore"])) or BLOB_STORE

    def set_default(self, name: str) -> None:
        """Make *name* the default datastore.

        :raises UnknownNameError: when there is no such datastore.
        """
        self._registry.add(_DEFAULT, "name", {"schema": 1, "datastore": self.get(name).name})

    def _require_apart(self, made: DatastoreLocation) -> None:
        """A URI must lead back to one account: refuse a URL inside that of another datastore with another one."""
        for other in self.of_files():
            is_inside = f"{made.url}/".startswith(f"{other.url}/") or f"{other.url}/".startswith(f"{made.url}/")
            is_other = other.url and other.name != made.name
            if is_other and is_inside and (other.conn_id, other.options) != (made.conn_id, made.options):
                raise UserError(
                    f"Datastore {made.name!r}: {made.url} is already reached through datastore {other.name!r}, with "
                    "another connection or other options. Give both the same."
                )


def _below(root: Root, name: str) -> DatastoreLocation:
    key = f"datastores/{name}"
    if root.folder is not None:
        return DatastoreLocation(name, root.folder / key)
    return DatastoreLocation(name, None, f"{root.url}/{key}", root.conn_id, root.options)


def _location(name: str, record: Mapping[str, Any]) -> DatastoreLocation | DatabaseLocation:
    if record["schema"] > _DATABASE_SCHEMA:
        raise WorkspaceSchemaError(
            f"Datastore {name!r} was registered by a newer Refrain: its record has schema {record['schema']}, this one "
            f"reads up to {_DATABASE_SCHEMA}. Upgrade Refrain."
        )
    if "database" in record:
        from refrain.storage.sql.address import DatabaseAddress, DatabaseLocation

        return DatabaseLocation(name, DatabaseAddress.parse(name, record["database"]), record["conn_id"])
    if "url" not in record:
        return DatastoreLocation(name, Path(record["folder"]))
    options = tuple(sorted(record["options"].items()))
    return DatastoreLocation(name, None, record["url"], record["conn_id"], options)


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is no valid name for a datastore: use letters, digits and '_' only.")


def _require_url(name: str, url: str) -> None:
    scheme, separator, rest = url.partition("://") if isinstance(url, str) else ("", "", "")
    if not separator or not scheme or not rest.strip("/"):
        raise UserError(
            f"Datastore {name!r}: {url!r} is no URL such as 's3://bucket/folder'. Register a folder of this machine "
            "with Datastore.register_folder(workspace, name, folder)."
        )
    user = rest.partition("/")[0].rpartition("@")[0]
    if ":" in user or "?" in rest:
        raise UserError(f"Datastore {name!r}: its URL must hold no credentials and no '?'. {WAY_OUT}")


def _require_public(name: str, options: Mapping[str, Option]) -> None:
    for option, value in options.items():
        if is_secret_name(option):
            raise UserError(f"Datastore {name!r}: the option {option!r} would be stored with the workspace. {WAY_OUT}")
        if not isinstance(value, str | int | float | bool | None):
            raise UserError(
                f"Datastore {name!r}: the option {option!r} must be a text, a number, a truth value or None."
            )


STAGING = ".refrain-staging"
"""In a datastore, the folder of what steps are writing; whatever else is there is swept."""


def normalized(path: str) -> str:
    """Return a datastore path without leading ``/`` or ``./``.

    :raises UserError: when it leaves the datastore by ``..``, or cannot be a path.
    """
    parts = PurePosixPath(path.replace("\\", "/").lstrip("/")).parts
    if ".." in parts:
        raise UserError(f"The path {path!r} leaves its datastore: '..' is not allowed.")
    if "\0" in path:
        raise UserError(f"{path!r} is no path: it holds a NUL character.")
    return "/".join(parts)
