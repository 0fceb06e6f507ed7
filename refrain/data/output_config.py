"""OutputFileDatasetConfig: an output directory that becomes a dataset."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.names import dataset_name
from refrain.data.pipeline_data import Origin
from refrain.data.ports import OUTPUT_NAME, RUN_ID, OutputMode, Registration
from refrain.data.reference import store_name
from refrain.errors import UserError
from refrain.storage.datastores import BLOB_STORE, normalized

DATASET_PATH = f"dataset/{RUN_ID}/{OUTPUT_NAME}"


class OutputFileDatasetConfig:
    """An output directory, which exists before the script starts.

    The methods return copies and never change the object; all copies of one object stand for the same output, so that
    the original can be consumed after a copy was passed to ``outputs``.

    :param name: None means a name by position that the producing step gives, so that a definition is the same in every
        process that makes it.
    :param destination: ``(datastore, path)`` or a datastore; in the path ``{run-id}`` and ``{output-name}`` are
        filled in. None means ``dataset/{run-id}/{output-name}`` on the workspace's blob store.
    :param source: in upload mode, where the script writes, relative to its working directory.
    :param partition_format: must be None: files are not cut into columns by their paths.
    :raises UserError: for an invalid name or destination.
    """

    def __init__(
        self,
        name: str | None = None,
        destination: Any = None,
        source: str | None = None,
        partition_format: str | None = None,
    ) -> None:
        if name is not None:
            dataset_name(name, "an OutputFileDatasetConfig")
        if partition_format is not None:
            raise UserError(f"OutputFileDatasetConfig {name!r}: partition_format is not supported; remove it.")
        self._name = name
        self.destination = destination
        self.source = source
        self.mode = OutputMode.MOUNT
        self.overwrite = False
        self.source_globs: tuple[str, ...] = ()
        self.registration: Registration | None = None
        self.origin = Origin()
        self.location()  # a wrong destination fails here, not in a worker

    @property
    def name(self) -> str | None:
        """The output's name; None until a step has given one to an output that has none of its own."""
        return self._name or self.origin.name

    def location(self) -> tuple[str, str]:
        """Return the datastore's name and the path template."""
        if self.destination is None:
            return BLOB_STORE, DATASET_PATH
        parts = self.destination if isinstance(self.destination, tuple) else (self.destination,)
        what = f"OutputFileDatasetConfig {self.name!r}"
        path = parts[1] if len(parts) > 1 else None
        if not 1 <= len(parts) <= 2 or not (path is None or isinstance(path, str)):
            raise UserError(
                f"{what}: destination {self.destination!r} is not understood; give (datastore, 'path') or a datastore."
            )
        return store_name(parts[0], f"{what}: destination"), normalized(path) if path else DATASET_PATH

    def as_mount(self, disable_metadata_cache: bool = False) -> OutputFileDatasetConfig:  # noqa: ARG002  # Azure ML's
        """Return a copy whose directory the engine provides (the default). The flag has no effect here."""
        return self._copy(mode=OutputMode.MOUNT)

    def as_upload(self, overwrite: bool = False, source_globs: Sequence[str] | None = None) -> OutputFileDatasetConfig:
        """Return a copy that is uploaded when the step has succeeded.

        :param source_globs: only files matching one of these patterns are kept.
        """
        globs = (source_globs,) if isinstance(source_globs, str) else tuple(source_globs or ())
        return self._copy(mode=OutputMode.UPLOAD, overwrite=overwrite, source_globs=globs)

    def register_on_complete(
        self, name: str, description: str | None = None, tags: Mapping[str, str] | None = None
    ) -> OutputFileDatasetConfig:
        """Return a copy that is registered as a new version of dataset *name* when the step completes.

        :raises UserError: when the name is no text.
        """
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"OutputFileDatasetConfig {self.name!r}: register_on_complete needs a name, not {name!r}.")
        marks = tuple(sorted((str(key), str(value)) for key, value in (tags or {}).items()))
        return self._copy(registration=Registration(name, description or "", marks))

    def as_input(self, name: str | None = None) -> DatasetConsumptionConfig:
        """Return the output as another step's input, mounted."""
        return DatasetConsumptionConfig(name, self, "mount")

    def _copy(self, **changes: Any) -> OutputFileDatasetConfig:
        clone = copy.copy(self)
        vars(clone).update(changes)
        return clone

    def __repr__(self) -> str:
        return f"OutputFileDatasetConfig({self.name!r})"
