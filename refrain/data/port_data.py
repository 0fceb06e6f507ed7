"""PortDataReference: data that a finished step left, to be looked at, downloaded, or read by another pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from refrain.data.datastore import Datastore
from refrain.data.handle import DataHandle
from refrain.data.names import port_name
from refrain.data.ports import InputMode
from refrain.errors import DataError, UserError
from refrain.storage.store import Place
from refrain.values import dataclass

if TYPE_CHECKING:
    from refrain.storage.state import WorkspaceState


@dataclass(frozen=True, eq=False)
class PortDataReference:
    """Data on a datastore that a step wrote; among the inputs of another pipeline's step, it is read from there.

    The step that reads it sees what is there when it runs, which counts for its reuse as every input does.

    :param name: the output's name; also the input's, unless :meth:`as_input` gives another.
    """

    name: str
    datastore_name: str
    path_on_datastore: str
    handle: DataHandle
    state: WorkspaceState
    mode: str = "mount"
    path_on_compute: str | None = None

    def __post_init__(self) -> None:
        port_name(self.name, "an input")
        modes = [mode.value for mode in InputMode]
        if self.mode not in modes:
            raise UserError(f"Input {self.name!r}: mode {self.mode!r} is not one of {', '.join(modes)}.")

    @property
    def data_reference_name(self) -> str:
        """The output's name."""
        return self.name

    @property
    def _path_on_datastore(self) -> str:
        """:attr:`path_on_datastore`, as old notebooks ask for it."""
        return self.path_on_datastore

    @property
    def datastore(self) -> Datastore:
        """The datastore that holds the data."""
        return Datastore(self, self.datastore_name)

    @property
    def place(self) -> Place:
        """Where the data is."""
        return self.state.stores.at(self.handle.uri)

    def as_mount(self, input_name: str | None = None) -> PortDataReference:
        """Return the data as an input that is read in place."""
        return self.create_input_binding(input_name, "mount")

    def as_download(
        self, input_name: str | None = None, path_on_compute: str | None = None, overwrite: bool | None = None
    ) -> PortDataReference:
        """Return the data as an input of which the step gets its own copy."""
        return self.create_input_binding(input_name, "download", path_on_compute, overwrite)

    def as_input(self, input_name: str) -> PortDataReference:
        """Return the data as an input under another name."""
        return self.create_input_binding(input_name)

    def create_input_binding(
        self,
        input_name: str | None = None,
        mode: str | None = None,
        path_on_compute: str | None = None,
        overwrite: bool | None = None,  # noqa: ARG002  # a step's copy is always its own
    ) -> PortDataReference:
        """Return the data as an input with all its settings."""
        return replace(self, name=input_name or self.name, mode=mode or "mount", path_on_compute=path_on_compute)

    def download(self, local_path: str, overwrite: bool | None = None, show_progress: bool | None = None) -> int:  # noqa: ARG002
        """Copy the data to ``<local_path>/<path_on_datastore>`` and return the number of files copied.

        Files that are already there are skipped unless *overwrite* is set.

        :raises DataError: when the data is gone or cannot be copied.
        """
        target = Path(local_path, self.path_on_datastore)
        files = self.place.files()
        if not files:
            raise DataError(f"The output {self.name!r} is no longer at {self.place}.")
        wanted = [(self.place.below(file).path, target / file if file else target) for file in files]
        missing = [(path, local) for path, local in wanted if overwrite or not local.exists()]
        try:
            self.place.store.get(missing)
        except DataError as error:
            raise DataError(f"The output {self.name!r} cannot be copied to {str(target)!r}: {error}") from error
        return len(missing)
