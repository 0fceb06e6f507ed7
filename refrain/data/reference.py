"""DataReference: a place on a datastore, used as a step's input or, in upload mode, as its output."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Protocol

from refrain.data.names import port_name
from refrain.errors import UserError
from refrain.storage.datastores import normalized

_MODES = ("mount", "download", "upload")


class NamedDatastore(Protocol):
    """What a data object needs of a datastore: its name."""

    @property
    def name(self) -> str:
        """The name in the workspace."""


@dataclass(frozen=True, eq=False)
class DataReference:
    """A path on a datastore, by reference. In mount mode it may name a place where nothing is yet.

    :param path_on_datastore: None, ``"/"``, ``"."`` and ``"./"`` mean the root.
    :raises UserError: for an invalid name or mode, or a path with ``..``.
    """

    datastore: NamedDatastore
    data_reference_name: str | None = None
    path_on_datastore: str | None = None
    mode: str = "mount"
    path_on_compute: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        path = normalized(self.path_on_datastore or "")
        if self.data_reference_name is None:
            name = secrets.token_hex(4) if path else self.datastore.name
            object.__setattr__(self, "data_reference_name", f"data_{name}" if path else name)
        port_name(self.data_reference_name, "a DataReference")
        if self.mode not in _MODES:
            raise UserError(f"DataReference {self.name!r}: mode {self.mode!r} is not one of {', '.join(_MODES)}.")
        object.__setattr__(self, "path_on_datastore", path)

    @property
    def name(self) -> str:
        """The name of the input or output."""
        return str(self.data_reference_name)

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
