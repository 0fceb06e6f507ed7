"""Pieces: a dataset input cut into mini-batches, in the process of a step; and what run() gets of one.

The mini-batches of a table stand for so many bytes of its files and never cross from one file to another; with
partition keys, each has all rows, or all files, that have the same values.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from refrain.data import brought
from refrain.data.definition import AnyDataset
from refrain.data.files.dataset import FileDataset
from refrain.data.files.item import FileItem, StoredFile
from refrain.data.tabular.access import SourceFile
from refrain.data.tabular.chunk import OnError
from refrain.data.tabular.dataset import TabularDataset
from refrain.data.tabular.frame import to_frame
from refrain.data.tabular.partition import PartitionFormat
from refrain.data.tabular.scan import Scan
from refrain.errors import DataError, known

_TIMESTAMP = b"refrain timestamp"

Keys = tuple[tuple[str, str, bool], ...]
"""Name and value of each partition key, and whether the value is a date."""


@dataclass(frozen=True)
class Piece:
    """What one mini-batch is made of: a table, or paths of files.

    :param items: how many rows or files.
    :param title: what people call it.
    """

    items: int
    title: str
    table: Any = None
    paths: tuple[str, ...] = ()
    keys: Keys = ()
    timestamp: str | None = None

    @property
    def content(self) -> bytes:
        """The paths, with the one byte between them that none of them has."""
        return b"\0".join(map(os.fsencode, self.paths))

    def put(self, path: str) -> dict[str, Any]:
        """Return what a process makes the mini-batch of; a table is written to *path*, to be read without copying."""
        if self.table is None:
            return {"keys": self.keys}
        self._write(path)
        return {"table": path, "keys": self.keys}

    def _write(self, path: str) -> None:
        import pyarrow as pa

        table = self.table
        if self.timestamp is not None:
            table = table.replace_schema_metadata({_TIMESTAMP: self.timestamp.encode()})
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)


class Pieces:
    """The pieces of one input, in an order that is the same whenever the data is.

    :param description: the file that describes the dataset.
    :param size: roughly how many bytes of a file a piece stands for.
    :param keys: partition keys, instead of a size.
    :raises DataError: when the dataset cannot be read, or not be cut by these keys.
    """

    def __init__(self, description: str, size: int, keys: Sequence[str]) -> None:
        self._dataset = brought.read(description)
        self._size = size
        self._keys = tuple(keys)
        for key in keys:
            if key not in self._dataset.partition_keys:
                raise DataError(
                    f"{key!r} is no partition key of the input; it has {known(self._dataset.partition_keys)}. Make the "
                    "dataset with a partition_format that names it, or with partition_by."
                )
        if not keys and isinstance(self._dataset, FileDataset):
            raise DataError(
                "Files are cut by their number where they are mounted; as a dataset they need partition_keys."
            )

    def count(self) -> int:
        """Return how many pieces there are, roughly where they are cut by size."""
        if isinstance(self._dataset, FileDataset):
            return len(_grouped(self._dataset, self._dataset.files(), self._keys))
        files = self._dataset.scan().needed
        if self._keys:
            return len(_grouped(self._dataset, files, self._keys))
        return sum(-(-file.size // self._size) for file in files)

    def __iter__(self) -> Iterator[Piece]:
        if isinstance(self._dataset, FileDataset):
            return _groups_of_files(self._dataset, self._keys)
        return _groups_of_rows(self._dataset, self._keys) if self._keys else _parts(self._dataset, self._size)


def frame_of(path: str) -> Any:
    """Return the data frame of a table that :meth:`Piece.put` wrote."""
    import pyarrow as pa

    with pa.memory_map(path) as source:
        table = pa.ipc.open_file(source).read_all()
    timestamp = (table.schema.metadata or {}).get(_TIMESTAMP)
    return to_frame(table.replace_schema_metadata(None), timestamp.decode() if timestamp else None, OnError.NULL)


def dataset_of(paths: Sequence[str] | None, frame: Any, rows: str) -> AnyDataset:
    """Return a mini-batch as a dataset: its files, or its rows, which are written to the file *rows*."""
    from refrain.data.dataset import Dataset

    if paths is not None:
        return Dataset.File.from_files(list(paths))
    frame.to_parquet(rows, index=False)
    return Dataset.Tabular.from_parquet_files(rows)


def _parts(dataset: TabularDataset, size: int) -> Iterator[Piece]:
    file, row = None, 0
    for batch in dataset.batches(size):
        if batch.file is not file:
            file, row = batch.file, 0
        rows = batch.table.num_rows
        title = f"rows {row + 1:,} to {row + rows:,} of {file.address}"
        yield Piece(rows, title, batch.table, timestamp=dataset.timestamps.timestamp)
        row += rows


def _groups_of_rows(dataset: TabularDataset, keys: tuple[str, ...]) -> Iterator[Piece]:
    import pyarrow as pa

    scan = dataset.scan()
    if not scan.is_stateless:
        raise DataError(
            "A table of which rows are chosen by their number (take, skip, take_sample, random_split) cannot be cut by "
            "partition_keys. Write it with partition_by(...), and read what was written."
        )
    for values, files in _grouped(dataset, scan.needed, keys):
        tables = [table for file in files for table in _rows_of(scan, file)]
        if tables:
            table = pa.concat_tables(tables)
            yield Piece(table.num_rows, _title(values), table, keys=values, timestamp=dataset.timestamps.timestamp)


def _rows_of(scan: Scan, file: SourceFile) -> Iterator[Any]:
    scan.only = file
    yield from (batch.table for batch in scan.batches())


def _groups_of_files(dataset: FileDataset, keys: tuple[str, ...]) -> Iterator[Piece]:
    for values, items in _grouped(dataset, dataset.files(), keys):
        paths = tuple(_path(item) for item in items)
        yield Piece(len(paths), _title(values), paths=paths, keys=values)


def _grouped(dataset: AnyDataset, items: Sequence[Any], keys: tuple[str, ...]) -> list[tuple[Keys, list[Any]]]:
    """Group files by the values of the keys in their paths, sorted by these."""
    partition = dataset.source.partition if isinstance(dataset, TabularDataset) else dataset.partition
    groups: dict[Keys, list[Any]] = {}
    for item in items:
        groups.setdefault(_values(partition, item.address, keys), []).append(item)
    return sorted(groups.items(), key=lambda group: group[0])


def _values(partition: PartitionFormat | None, address: str, keys: tuple[str, ...]) -> Keys:
    found = partition.values(address) if partition else {}
    return tuple(
        (key, found[key].isoformat() if isinstance(found[key], datetime) else found[key], key in partition.dates)
        for key in keys
        if partition
    )


def _title(values: Keys) -> str:
    return ", ".join(f"{name}={text}" for name, text, _ in values)


def _path(item: FileItem) -> str:
    if not isinstance(item, StoredFile):
        raise DataError("Files that are made of a table have no paths; write them to an output first.")
    return os.fspath(item.file.path)
