"""DataReference: a place on a datastore, used as a step's input or, in upload mode, as its output."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Protocol

from refrain.data.names import port_name
from refrain.errors import UserError
from refrain.storage.datastores import normalized
from refrain.values import dataclass

_MODES = ("mount", "download", "upload")


class NamedDatastore(Protocol):
    """What a data object needs of a datastore: its name."""

    @property
    def name(self) -> str:
        """The name in the workspace."""


def store_name(store: Any, what: str) -> str:
    """Return the name of a datastore.

    :param what: what was given the datastore, for the message.
    :raises UserError: when *store* is no datastore; a name alone is none.
    """
    name = getattr(store, "name", None)
    if not isinstance(name, str) or isinstance(store, os.PathLike):
        raise UserError(f"{what} needs a datastore, not {store!r}; get it with Datastore.get(workspace, 'name').")
    if getattr(store, "is_database", False):
        raise UserError(
            f"{what} needs a datastore that keeps files, and {name!r} is a database. Read it with "
            "Dataset.Tabular.from_sql_query, or name a table of it with SqlDataReference."
        )
    return name


@dataclass(frozen=True, eq=False)
class DataReference:
    """A path on a datastore, by reference. In mount mode it may name a place where nothing is yet.

    :param data_reference_name: None means the datastore's name for its root; for any other path, a name by position
        that each step gives, so that a definition is the same in every process that makes it.
    :param path_on_datastore: None, ``"/"``, ``"."`` and ``"./"`` mean the root.
    :raises UserError: for an invalid name or mode, a path with ``..``, or a datastore that is none.
    """

    datastore: NamedDatastore
    data_reference_name: str | None = None
    path_on_datastore: str | None = None
    mode: str = "mount"
    path_on_compute: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        store = store_name(self.datastore, "A DataReference")
        path = normalized(self.path_on_datastore or "")
        object.__setattr__(self, "path_on_datastore", path)
        if self.data_reference_name is None and not path:
            object.__setattr__(self, "data_reference_name", store)
        if self.data_reference_name is not None:
            port_name(self.data_reference_name, "a DataReference")
        if self.mode not in _MODES:
            what = self.name or path
            raise UserError(f"DataReference {what!r}: mode {self.mode!r} is not one of {', '.join(_MODES)}.")

    @property
    def name(self) -> str | None:
        """The name of the input or output; None when the step is to give one."""
        return self.data_reference_name

    def path(self, path: str | None = None, data_reference_name: str | None = None) -> DataReference:
        """Return a reference to *path* below this one."""
        joined = "/".join(part for part in (self.path_on_datastore, path) if part)
        return replace(self, path_on_datastore=joined, data_reference_name=data_reference_name)

    def as_mount(self) -> DataReference:
        """Return a copy that is read in place."""
        return replace(self, mode="mount")

    def as_download(self, path_on_compute: str | None = None, overwrite: bool = False) -> DataReference:
        """Return a copy of which the step gets its own copy of the data."""
        return replace(self, mode="download", path_on_compute=path_on_compute, overwrite=overwrite)

    def as_upload(self, path_on_compute: str | None = None, overwrite: bool = False) -> DataReference:
        """Return a copy that uploads *path_on_compute* when the step has succeeded; it belongs in ``outputs``."""
        return replace(self, mode="upload", path_on_compute=path_on_compute, overwrite=overwrite)
