"""Dataset.File: files on datastores or local disks, as one named input."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.datastore import Datastore
from refrain.data.ports import FromFiles
from refrain.data.reference import DataReference
from refrain.errors import DataNotFoundError, UserError
from refrain.storage.datastores import normalized

Location = tuple[str | None, str]


@dataclass(frozen=True, eq=False)
class FileDataset:
    """Files by path or glob. What matches is decided when a step runs, not when the dataset is made."""

    source: FromFiles

    def as_named_input(self, name: str) -> DatasetConsumptionConfig:
        """Return the dataset as an input called *name*, in direct mode."""
        return DatasetConsumptionConfig(name, self)

    def as_mount(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        """Return the dataset as an input that is read in place; each step gives it a name by position."""
        return DatasetConsumptionConfig(None, self, "mount", path_on_compute)

    def as_download(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        """Return the dataset as an input of which the step gets its own copy."""
        return DatasetConsumptionConfig(None, self, "download", path_on_compute)


class FileDatasetFactory:
    """Makes file datasets; reached as ``Dataset.File``."""

    @staticmethod
    def from_files(path: Any, validate: bool = True) -> FileDataset:
        """Make a dataset of the files that *path* names.

        :param path: a local path or glob, a URL, ``(datastore, path or glob)``, a ``DataReference``, or a list of
            these. A folder stands for everything below it.
        :param validate: check now that local paths match something.
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
        return FileDataset(FromFiles(locations))


class Dataset:
    """The kinds of datasets."""

    File = FileDatasetFactory


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


def _text(path: str | Sequence[str]) -> str:
    if not isinstance(path, str):
        raise UserError(f"Dataset.File.from_files: {path!r} is no path; give one (datastore, 'path') for each.")
    return path
