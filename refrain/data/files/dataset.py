"""FileDataset: files by path or glob, some of them chosen; what matches is decided when they are asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from refrain.data.abstract import AbstractDataset, Registered
from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.data_value import DataKind, DataValue
from refrain.data.files.item import FileItem, FileOrigin, StoredFile, StoredFiles, fetch
from refrain.data.files.mount import MountContext
from refrain.data.files.operations import METADATA, FileOperation, chosen, described
from refrain.data.ports import FromDatabase, FromFiles
from refrain.data.tabular.access import ANYWHERE, FileAccess, Place, SourceFile, StoreAccess
from refrain.data.tabular.expression import Expression, column, condition
from refrain.data.tabular.operations import Filter, Rows, Sample
from refrain.data.tabular.partition import PartitionFormat
from refrain.data.tabular.sampling import chosen_seed, proportion, row_count
from refrain.errors import UserError, known
from refrain.storage.store import Place as StorePlace

_DOWNLOADS = 8


@dataclass(frozen=True, eq=False)
class FileDataset(AbstractDataset):
    """Files by path or glob. What matches is decided when a step runs, not when the dataset is made.

    :param source: the places, as a step's input records them; of a table's files, those of the table.
    :param operations: which of the files are in it.
    :param origin: where the files come from, if not from the places.
    """

    source: FromFiles | FromDatabase
    operations: tuple[FileOperation, ...] = ()
    partition: PartitionFormat | None = None
    access: FileAccess = field(default=ANYWHERE, repr=False)
    origin: FileOrigin | None = None
    registered: Registered | None = field(default=None, repr=False)

    def __getitem__(self, key: str) -> Expression:
        """Return a partition column for a condition."""
        return column(key)

    # ---- as an input

    def as_named_input(self, name: str) -> DatasetConsumptionConfig:
        """Return the dataset as an input called *name*, in direct mode."""
        return self._input(name, "direct", None)

    def as_mount(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        """Return the dataset as an input that is read in place; each step gives it a name by position."""
        return self._input(None, "mount", path_on_compute)

    def as_download(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        """Return the dataset as an input of which the step gets its own copy."""
        return self._input(None, "download", path_on_compute)

    def as_hdfs(self) -> DatasetConsumptionConfig:
        """Return the dataset as an input that Spark reads by its address."""
        return self._input(None, "hdfs", None)

    def _input(self, name: str | None, mode: str, path_on_compute: str | None) -> DatasetConsumptionConfig:
        return DatasetConsumptionConfig(name, self, mode, path_on_compute)

    @property
    def is_whole(self) -> bool:
        """Say whether it is all files of its places, as they are there."""
        return not self.operations and self.origin is None

    @property
    def reads(self) -> FromFiles | FromDatabase:
        """The places that it reads, as a step's input records them."""
        return self.source

    def as_value(self) -> DataValue:
        """See :meth:`AbstractDataset.as_value`."""
        recipe = "" if self.is_whole else self.recipe
        return DataValue(DataKind.FILES, self.reads, self.text, recipe, self.recipe)

    def source_files(self) -> list[SourceFile]:
        """Return the stored files among which it chooses, as they are listed now."""
        return self._origin.stored(self.access)

    def needed_files(self) -> list[SourceFile]:
        """Return the stored files that what it has chosen is made of, as they are listed now."""
        if self.origin is not None:
            return self.source_files()
        return [item.file for item in self.files() if isinstance(item, StoredFile)]

    def told_of(self, file: SourceFile) -> list[Any]:
        """Return what the dataset tells of a stored file beside its name and content."""
        values = self.partition.values(file.address).values() if self.partition and self.origin is None else ()
        return [*values, *self._origin.told_of(file)]

    # ---- choosing files

    def take(self, count: int) -> FileDataset:
        """Return a dataset of the first *count* files."""
        return self._then(Rows(take=row_count(count, "take")))

    def skip(self, count: int) -> FileDataset:
        """Return a dataset without the first *count* files."""
        return self._then(Rows(skip=row_count(count, "skip")))

    def take_sample(self, probability: float, seed: int | None = None) -> FileDataset:
        """Return a dataset of roughly this share of the files; the seed is as for tabular datasets."""
        return self._then(Sample(0.0, proportion(probability, "take_sample: probability"), chosen_seed(seed)))

    def random_split(self, percentage: float, seed: int | None = None) -> tuple[FileDataset, FileDataset]:
        """Return two datasets, of roughly *percentage* (0 to 1) of the files and of all the others."""
        share, drawn = proportion(percentage, "random_split: percentage"), chosen_seed(seed)
        return self._then(Sample(0.0, share, drawn)), self._then(Sample(share, 1.0, drawn))

    def filter(self, expression: Expression) -> FileDataset:
        """Return a dataset of the files for which a condition on partition columns or ``file_metadata`` is true."""
        return self._then(Filter(condition(expression)))

    def file_metadata(self, col: str) -> Expression:
        """Return what is known of a file, for a condition: its Path (``/``-rooted), Name, Extension or Size (bytes).

        :raises UserError: for anything else.
        """
        if col not in METADATA:
            raise UserError(f"file_metadata({col!r}): known are {known(METADATA)}.")
        return column(col)

    # ---- the files

    @property
    def partition_keys(self) -> list[str]:
        """The columns that ``partition_format`` reads from the paths."""
        return list(self.partition.keys) if self.partition else []

    def get_partition_key_values(self, partition_keys: list[str] | None = None) -> list[dict[str, Any]]:
        """Return the different values of the partition columns, sorted.

        :param partition_keys: some of them; None for all.
        :raises UserError: for a column that is not one.
        """
        from refrain.data.tabular.partitions import chosen_keys, distinct

        keys = chosen_keys(self.partition_keys, partition_keys)
        return distinct(
            ({} if not self.partition else self.partition.values(item.address) for item in self.files()), keys
        )

    def files(self) -> list[FileItem]:
        """Return the files of the dataset, as they are listed now.

        :raises DataNotFoundError: when a place matches nothing.
        """
        return chosen(self._origin.items(self.access), self.operations, self.partition)

    def distinct_files(self) -> list[FileItem]:
        """Return the files, which all have different names.

        :raises UserError: when two would be at one place of a folder.
        """
        items = self.files()
        _reject_twins(items)
        return items

    def to_path(self) -> list[str]:
        """Return the files' paths, ``/``-rooted, relative to the folder or to the fixed part of the glob."""
        return [item.name for item in self.files()]

    def download(
        self, target_path: str | None = None, overwrite: bool = False, ignore_not_found: bool = False
    ) -> list[str]:
        """Copy the files below a local folder and return their paths there; each appears when it is complete.

        :param target_path: None for a new temporary folder, which is the caller's to remove.
        :param overwrite: replace files that are there.
        :param ignore_not_found: leave out files that vanish after they were listed.
        :raises DataError: for a file that is there already, or two files of one name.
        """
        folder = Path(tempfile.mkdtemp(prefix="refrain-") if target_path is None else target_path).absolute()
        items = self.distinct_files()
        with ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="refrain-download") as pool:
            fetched = list(pool.map(lambda item: fetch(item, folder, overwrite, ignore_not_found), items))
        return [str(path) for path in fetched if path is not None]

    def mount(self, mount_point: str | None = None) -> MountContext:
        """Return a context in which the files are a folder of this machine: ``with dataset.mount() as mounted: …``.

        :param mount_point: None for a temporary folder; see :class:`MountContext`.
        """
        return MountContext(self, mount_point)

    def remote_place(self) -> StorePlace | None:
        """Return the one place of another machine whose files are all of the dataset; None when there is none."""
        places = self.source.locations if isinstance(self.source, FromFiles) else ()
        if not self.is_whole or len(places) != 1 or not isinstance(self.access, StoreAccess):
            return None
        at = self.access.at(Place(places[0][0] or "", places[0][1]))
        return at if at.in_place is None and at.exists() else None

    # ---- the definition

    def to_json(self) -> dict[str, Any]:
        """Return the definition as JSON values."""
        return {
            "schema": 1,
            "kind": "file",
            "source": self._origin.to_json(),
            "operations": described(self.operations),
            "partition_format": self.partition.text if self.partition else None,
        }

    def with_choice(
        self, operations: tuple[FileOperation, ...], partition: PartitionFormat | None = None
    ) -> FileDataset:
        """Return the dataset of these files with other operations and columns of the path."""
        return replace(self, operations=operations, partition=partition, registered=None)

    @property
    def _origin(self) -> FileOrigin:
        if self.origin is not None or isinstance(self.source, FromDatabase):
            return self.origin or StoredFiles(())
        return StoredFiles(tuple(Place(store or "", path) for store, path in self.source.locations))

    def _then(self, operation: FileOperation) -> FileDataset:
        return self.with_choice((*self.operations, operation), self.partition)


def _reject_twins(items: Iterable[FileItem]) -> None:
    seen: dict[str, str] = {}
    for item in items:
        if item.name in seen:
            raise UserError(
                f"{seen[item.name]!r} and {item.address!r} would both be written as {item.name!r}. Use one dataset for "
                "each folder."
            )
        seen[item.name] = item.address
