"""What a step run left: its outputs, to be looked at and downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from refrain.data.handle import DataHandle
from refrain.errors import DataError
from refrain.storage.store import Place


@dataclass(frozen=True)
class PortDataReference:
    """Data on a datastore that a step wrote."""

    name: str
    datastore_name: str
    path_on_datastore: str
    handle: DataHandle
    place: Place

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


@dataclass(frozen=True)
class StepRunOutput:
    """One output of a step run."""

    name: str
    reference: PortDataReference

    def get_port_data_reference(self) -> PortDataReference:
        """Return the output's data."""
        return self.reference
