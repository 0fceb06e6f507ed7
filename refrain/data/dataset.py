"""Dataset: where file datasets and tabular datasets are made."""

from __future__ import annotations

import glob
import os
from dataclasses import replace
from typing import Any

from refrain.data.abstract import Registered
from refrain.data.brought import by_id
from refrain.data.datastore import HasState
from refrain.data.definition import AnyDataset, dataset_from
from refrain.data.files.dataset import FileDataset
from refrain.data.ports import FromFiles
from refrain.data.registered import DatasetVersions
from refrain.data.tabular.access import StoreAccess
from refrain.data.tabular.factory import TabularDatasetFactory
from refrain.data.tabular.partition import PartitionFormat
from refrain.data.tabular.places import places_of
from refrain.errors import DataNotFoundError, UnknownNameError

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
    def get_by_name(workspace: HasState, name: str, version: int | str = "latest") -> AnyDataset:
        """Return a registered dataset, also one that a step registered with ``register_on_complete``.

        :param version: a number, or ``latest``: the newest one at this moment.
        :raises UnknownNameError: when there is no such dataset or version.
        :raises UserError: for a version that is neither.
        """
        return _registered(workspace, name, DatasetVersions(workspace.state.registry).chosen(name, version))

    @staticmethod
    def get_by_id(workspace: HasState, id: str) -> AnyDataset:  # Azure ML's name
        """Return the dataset of an id: within a step an input that it has, else the newest registered one.

        :raises UnknownNameError: when there is none.
        """
        given = by_id(id)
        if given is not None:
            return given
        found = DatasetVersions(workspace.state.registry).find(id)
        if found is None:
            raise UnknownNameError(
                f"No dataset with the id {id!r} is registered, nor is one an input of this step. Use "
                "Dataset.get_by_name(workspace, 'name'), or register it."
            )
        return _registered(workspace, *found)

    @staticmethod
    def get_all(workspace: HasState) -> dict[str, AnyDataset]:
        """Return the newest version of every registered dataset, by name."""
        versions = DatasetVersions(workspace.state.registry)
        return {name: _registered(workspace, name, versions.newest(name)) for name in versions.names()}


def _registered(workspace: HasState, name: str, version: int) -> AnyDataset:
    record = DatasetVersions(workspace.state.registry).get(name, version)
    if record is None:
        raise UnknownNameError(f"Dataset {name!r} has no version {version}.")
    dataset = dataset_from(record.definition, StoreAccess(workspace.state.stores))
    return replace(dataset, registered=Registered(workspace.state, name, version))


def _is_there(path: str) -> bool:
    return os.path.lexists(path) or any(True for _ in glob.iglob(path, recursive=True))
