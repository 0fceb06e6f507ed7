"""Dataset: where file datasets and tabular datasets are made."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from typing import Any

from refrain.data.datastore import Datastore, HasState
from refrain.data.files.dataset import FileDataset
from refrain.data.handle import DataHandle
from refrain.data.ports import DATASETS, FromFiles
from refrain.data.reference import DataReference
from refrain.data.tabular.access import Folders
from refrain.data.tabular.factory import TabularDatasetFactory
from refrain.data.tabular.partition import PartitionFormat
from refrain.errors import DataNotFoundError, UnknownNameError, UserError, did_you_mean, known
from refrain.storage.datastores import normalized

__all__ = ["Dataset", "FileDataset", "FileDatasetFactory"]

Location = tuple[str | None, str]


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
        paths = path if isinstance(path, list) else [path]
        if not paths:
            raise UserError("Dataset.File.from_files got an empty list of paths.")
        locations = tuple(_location(item) for item in paths)
        for store, local in locations if validate else ():
            if (
                store is None
                and "://" not in local
                and not os.path.exists(local)
                and not any(True for _ in glob.iglob(local, recursive=True))
            ):
                raise DataNotFoundError(
                    f"Dataset.File.from_files: {local!r} matches nothing. Correct the path, or pass validate=False if "
                    "the files come later."
                )
        _ = is_file
        partition = None if partition_format is None else PartitionFormat(partition_format)
        return FileDataset(FromFiles(locations), partition=partition, access=_access(paths))


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


def _location(item: Any) -> Location:
    if isinstance(item, DataReference):
        return item.datastore.name, str(item.path_on_datastore)
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], Datastore):
        return item[0].name, normalized(_text(item[1]))
    if isinstance(item, str) and "://" in item:
        return None, item
    if isinstance(item, (str, os.PathLike)):
        return None, os.path.abspath(os.path.expanduser(item))
    raise UserError(
        f"Dataset.File.from_files cannot read {item!r}: give a path, (datastore, 'path'), a DataReference or a list."
    )


def _access(paths: list[Any]) -> Folders:
    stores = [item.datastore if isinstance(item, DataReference) else item[0] for item in paths if not _is_local(item)]
    return Folders({store.name: store.root for store in stores if isinstance(store, Datastore)})


def _is_local(item: Any) -> bool:
    return isinstance(item, (str, os.PathLike))


def _text(path: str | Sequence[str]) -> str:
    if not isinstance(path, str):
        raise UserError(f"Dataset.File.from_files: {path!r} is no path; give one (datastore, 'path') for each.")
    return path
