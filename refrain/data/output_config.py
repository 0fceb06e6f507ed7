"""OutputFileDatasetConfig: an output directory that becomes a dataset."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.names import dataset_name
from refrain.data.ports import OUTPUT_NAME, RUN_ID, Registration
from refrain.data.pipeline_data import Origin
from refrain.data.reference import NamedDatastore
from refrain.errors import UserError
from refrain.storage.datastores import BLOB_STORE, normalized

DATASET_PATH = f"dataset/{RUN_ID}/{OUTPUT_NAME}"


@dataclass(frozen=True, eq=False)
class OutputFileDatasetConfig:
    """An output directory, which exists before the script starts.

    The methods return copies; all copies of one object stand for the same output, so that the original can be
    consumed after a copy was passed to ``outputs``.

    :param name: None makes a name like ``output_1f2e3d4c``.
    :param destination: ``(datastore, path)`` or a datastore; in the path ``{run-id}`` and ``{output-name}`` are
        filled in. None means ``dataset/{run-id}/{output-name}`` on the workspace's blob store.
    :param source: in upload mode, where the script writes, relative to its working directory.
    :raises UserError: for an invalid name or destination.
    """

    name: str | None = None
    destination: Any = None
    source: str | None = None
    partition_format: str | None = None
    mode: str = field(default="mount", init=False)
    overwrite: bool = field(default=False, init=False)
    source_globs: tuple[str, ...] = field(default=(), init=False)
    registration: Registration | None = field(default=None, init=False)
    origin: Origin = field(default_factory=Origin, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.name is None:
            object.__setattr__(self, "name", f"output_{secrets.token_hex(4)}")
        dataset_name(self.name, "an OutputFileDatasetConfig")
        self.location()  # a wrong destination fails here, not in a worker

    def location(self) -> tuple[str, str]:
        """Return the datastore's name and the path template."""
        if self.destination is None:
            return BLOB_STORE, DATASET_PATH
        parts = self.destination if isinstance(self.destination, tuple) else (self.destination,)
        store, path = parts[0], parts[1] if len(parts) > 1 else None
        if not hasattr(store, "name") or not (path is None or isinstance(path, str)) or len(parts) > 2:
            raise UserError(
                f"OutputFileDatasetConfig {self.name!r}: destination {self.destination!r} is not understood; "
                "give (datastore, 'path') or a datastore."
            )
        return _store_name(store), normalized(path) if path else DATASET_PATH

    def as_mount(self, disable_metadata_cache: bool = False) -> OutputFileDatasetConfig:
        """Return a copy whose directory the engine provides (the default). The flag has no effect here."""
        return self._copy(mode="mount")

    def as_upload(self, overwrite: bool = False, source_globs: Sequence[str] | None = None) -> OutputFileDatasetConfig:
        """Return a copy that is uploaded when the step has succeeded.

        :param source_globs: only files matching one of these patterns are kept.
        """
        return self._copy(mode="upload", overwrite=overwrite, source_globs=tuple(source_globs or ()))

    def register_on_complete(
        self, name: str, description: str | None = None, tags: Mapping[str, str] | None = None
    ) -> OutputFileDatasetConfig:
        """Return a copy that is registered as a new version of dataset *name* when the step completes."""
        return self._copy(registration=Registration(name, description or "", tuple(sorted((tags or {}).items()))))

    def as_input(self, name: str | None = None) -> DatasetConsumptionConfig:
        """Return the output as another step's input, mounted."""
        return DatasetConsumptionConfig(name or f"input_{secrets.token_hex(4)}", self, "mount")

    def _copy(self, **changes: Any) -> OutputFileDatasetConfig:
        copy = replace(self)
        for kept in ("mode", "overwrite", "source_globs", "registration", "origin"):
            object.__setattr__(copy, kept, changes.get(kept, getattr(self, kept)))
        return copy


def _store_name(store: NamedDatastore) -> str:
    return store.name
