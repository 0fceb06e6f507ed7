"""Datastores: where a workspace keeps data, by name."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from refrain.errors import UnknownNameError, UserError, did_you_mean, known
from refrain.storage.registry import Registry

BLOB_STORE = "workspaceblobstore"
FILE_STORE = "workspacefilestore"
BUILT_IN = (BLOB_STORE, FILE_STORE)

_NAME = re.compile(r"\w+", re.ASCII)  # Azure ML's rule; the name also names an input
_KIND = "datastores"
_DEFAULT = "default-datastore"


@dataclass(frozen=True)
class DatastoreLocation:
    """A datastore's name and the folder that it stands for."""

    name: str
    root: Path

    def resolve(self, path: str) -> Path:
        """Return the local path of *path* on this datastore; ``""``, ``"."`` and ``"/"`` mean its root.

        :raises UserError: when the path would leave the datastore.
        """
        return self.root / normalized(path)


class DatastoreTable:
    """The datastores of a workspace: two built-in ones and those that were registered."""

    def __init__(self, root: Path, registry: Registry) -> None:
        """Keep the built-in datastores' files below *root* and the registrations in *registry*."""
        self._root = root
        self._registry = registry

    def get(self, name: str) -> DatastoreLocation:
        """Return the datastore of this name.

        :raises UnknownNameError: when there is none.
        """
        record = self._registry.get(_KIND, name)
        if record is not None:
            return DatastoreLocation(name, Path(record["folder"]))
        if name in BUILT_IN:
            return DatastoreLocation(name, self._root / "datastores" / name)
        raise UnknownNameError(
            f"Unknown datastore {name!r}. Known: {known(self.names())}.{did_you_mean(name, self.names())} "
            "Register a folder with Datastore.register_folder(workspace, name, folder)."
        )

    def register(self, name: str, folder: str | os.PathLike[str]) -> DatastoreLocation:
        """Let *name* stand for a folder, which must exist.

        :raises UserError: for an invalid name or a missing folder.
        """
        if not _NAME.fullmatch(name):
            raise UserError(f"{name!r} is no valid name for a datastore: use letters, digits and '_' only.")
        path = Path(os.path.abspath(os.path.expanduser(folder)))
        if not path.is_dir():
            raise UserError(f"Datastore {name!r}: the folder {str(path)!r} does not exist; create it first.")
        self._registry.add(_KIND, name, {"schema": 1, "folder": str(path)})
        return DatastoreLocation(name, path)

    def names(self) -> list[str]:
        """Return every datastore's name, sorted."""
        return sorted({*BUILT_IN, *self._registry.names(_KIND)})

    def default(self) -> str:
        """Return the default datastore's name."""
        record = self._registry.get(_DEFAULT, "name")
        return str(record["datastore"]) if record else BLOB_STORE

    def set_default(self, name: str) -> None:
        """Make *name* the default datastore.

        :raises UnknownNameError: when there is no such datastore.
        """
        self._registry.add(_DEFAULT, "name", {"schema": 1, "datastore": self.get(name).name})


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
