"""Dataset: where file datasets and tabular datasets are made."""

from __future__ import annotations

import glob
import os
from typing import Any

from refrain.data.datastore import HasState
from refrain.data.files.dataset import FileDataset
from refrain.data.handle import DataHandle
from refrain.data.ports import DATASETS, FromFiles
from refrain.data.tabular.factory import TabularDatasetFactory
from refrain.data.tabular.partition import PartitionFormat
from refrain.data.tabular.places import places_of
from refrain.errors import DataNotFoundError, UnknownNameError, UserError, did_you_mean, known

__all__ = ["Dataset", "FileDataset", "FileDatasetFactory"]


class FileDatasetFactory:
    """Makes file datasets; reached as ``Dataset.File``."""

    @staticmethod
    def from_files(
        path: Any, validate: bool = True, partition_format: str | None = None, is_file: bool = False
    ) -> FileDataset:
        """Make a dataset of the files that *path* names.

        :param path: a local path or glob, a URL, ``(datastore, path or glob)``, a ``DataReference``, or a list of
            these. A folder stands for everything below it.
        :param validate: check now that local paths match something.
        :param partition_format: columns in the paths; see :class:`PartitionFormat`.
        :param is_file: accepted for Azure ML's sake.
        :raises UserError: for a path of another type.
        :raises DataNotFoundError: when *validate* finds nothing at a local path.
        """
        places, access = places_of(path, "Dataset.File.from_files")
        for place in places if validate else ():
            if not place.datastore and "://" not in place.path and not _is_there(place.path):
                raise DataNotFoundError(
                    f"Dataset.File.from_files: {place.path!r} matches nothing. Correct the path, or pass "
                    "validate=False if the files come later."
                )
        _ = is_file
        partition = None if partition_format is None else PartitionFormat(partition_format)
        locations = tuple((place.datastore or None, place.path) for place in places)
        return FileDataset(FromFiles(locations), partition=partition, access=access)


class Dataset:
    """The kinds of datasets."""

    File = FileDatasetFactory
    Tabular = TabularDatasetFactory

    @staticmethod
    def get_by_name(workspace: HasState, name: str, version: int | str = "latest") -> FileDataset:
        """Return a dataset that a step registered with ``register_on_complete``.

        :param version: a number, or ``latest``.
        :raises UnknownNameError: when there is no such dataset or version.
        :raises UserError: for a version that is neither.
        """
        registry = workspace.state.registry
        versions = registry.versions(DATASETS, name)
        if not versions:
            names = registry.names(DATASETS)
            raise UnknownNameError(f"Unknown dataset {name!r}. Known: {known(names)}.{did_you_mean(name, names)}")
        wanted = versions[-1] if version == "latest" else _number(name, version)
        if wanted not in versions:
            listed = ", ".join(map(str, versions))
            raise UnknownNameError(f"Dataset {name!r} has no version {wanted}. Known: {listed}.")
        handle = DataHandle.from_json(registry.get(DATASETS, name, wanted) or {})
        return FileDataset(FromFiles(((None, handle.location),)))


def _number(name: str, version: int | str) -> int:
    try:
        return int(version)
    except (TypeError, ValueError) as error:
        raise UserError(f"Dataset {name!r}: the version {version!r} is neither a number nor 'latest'.") from error


def _is_there(path: str) -> bool:
    return os.path.lexists(path) or any(True for _ in glob.iglob(path, recursive=True))
