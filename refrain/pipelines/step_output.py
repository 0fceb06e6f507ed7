"""What a step run left: its outputs, to be looked at and downloaded."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from refrain.data.handle import DataHandle
from refrain.errors import DataError


@dataclass(frozen=True)
class PortDataReference:
    """Data on a datastore that a step wrote."""

    name: str
    datastore_name: str
    path_on_datastore: str
    handle: DataHandle

    def download(self, local_path: str, overwrite: bool | None = None, show_progress: bool | None = None) -> int:  # noqa: ARG002
        """Copy the data to ``<local_path>/<path_on_datastore>`` and return the number of files copied.

        Files that are already there are skipped unless *overwrite* is set.

        :raises DataError: when the data is gone or cannot be copied.
        """
        source = self.handle.path
        target = Path(local_path, self.path_on_datastore)
        if not source.exists():
            raise DataError(f"The output {self.name!r} is no longer at {source}.")
        files = [source] if source.is_file() else [Path(p, n) for p, _, names in os.walk(source) for n in names]
        copied = 0
        for file in files:
            place = target / file.relative_to(source) if file != source else target
            if place.exists() and not overwrite:
                continue
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, place)
            except OSError as error:
                raise DataError(f"The output {self.name!r} cannot be copied to {str(place)!r}: {error}.") from error
            copied += 1
        return copied


@dataclass(frozen=True)
class StepRunOutput:
    """One output of a step run."""

    name: str
    reference: PortDataReference

    def get_port_data_reference(self) -> PortDataReference:
        """Return the output's data."""
        return self.reference
