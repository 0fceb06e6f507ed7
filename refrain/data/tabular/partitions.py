"""Partitions: the values of columns that paths hold, and writing a table so that paths hold some of its columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from refrain.data.files.dataset import FileDataset
from refrain.data.ports import FromFiles
from refrain.data.tabular.access import Place, StoreAccess
from refrain.data.tabular.dataset import TabularDataset
from refrain.data.tabular.expression import missing_column
from refrain.data.tabular.partition import PartitionFormat
from refrain.data.tabular.places import place_of
from refrain.data.tabular.source import Parquet, Source
from refrain.data.tabular.written import below_new_id, new_folder
from refrain.errors import DataError, UserError, known

_DATE = "%Y%m%d%H%M%S"
_DATE_FORMAT = "yyyyMMddHHmmss"


def key_values(dataset: TabularDataset, wanted: list[str] | None) -> list[dict[str, Any]]:
    """Return the different values of a table's partition columns, sorted; of whole files, as far as paths decide."""
    keys = chosen_keys(dataset.partition_keys, wanted)
    if (
        not dataset.operations
        and dataset.source.partition
        and not {name for name, _ in dataset.source.types} & set(keys)
    ):
        partition = dataset.source.partition
        return distinct((partition.values(file.address) for file in dataset.source_files()), keys)
    rows = (row for batch in dataset.keep_columns(keys).batches() for row in _unique_rows(batch.table, keys))
    return distinct(rows, keys)


def chosen_keys(keys: list[str], wanted: list[str] | None) -> list[str]:
    """Return the partition columns that are asked for.

    :raises UserError: for a column that is not one, or where there are none.
    """
    if not keys:
        raise UserError(
            "The dataset has no partition columns. Read it with partition_format, such as '/{country}/*.csv'."
        )
    for key in wanted or ():
        if key not in keys:
            raise UserError(f"{key!r} is no partition column. Partition columns: {known(keys)}.")
    return list(wanted or keys)


def distinct(rows: Iterable[Mapping[str, Any]], keys: list[str]) -> list[dict[str, Any]]:
    """Return the different values of some columns, sorted, empty ones first."""
    found = {tuple(row[key] for key in keys) for row in rows}
    ordered = sorted(found, key=lambda values: [(value is not None, value) for value in values])
    return [dict(zip(keys, values, strict=True)) for values in ordered]


def _unique_rows(table: Any, keys: list[str]) -> list[dict[str, Any]]:
    return list(table.group_by(keys).aggregate([]).to_pylist())


def partition_by(dataset: TabularDataset, keys: list[str], target: Any) -> tuple[TabularDataset, FileDataset]:
    """Write a table's rows below ``<target>/<new id>/<key>/…`` and return what was written, as a table and as files.

    Rows stream: the memory in use does not grow with their number, though it does with the number of partitions.

    :raises UserError: without keys.
    :raises DataError: for a missing column, or a value that cannot name a folder.
    """
    import pyarrow as pa

    schema = dataset.schema
    if not keys or isinstance(keys, str):
        raise UserError(f"partition_by: {keys!r} is no list of columns.")
    for key in keys:
        if key not in schema.names:
            raise missing_column(key, schema.names)
    if len(set(keys)) == len(schema.names):
        raise UserError("partition_by: every column would become part of the path, and no file would hold one.")
    place, access = place_of(target, "partition_by")
    folder = below_new_id(place)
    texts = pa.schema([pa.field(f.name, pa.string()) if f.name in keys else f for f in schema])
    batches = (part for batch in dataset.batches() for part in _named(batch.table, keys, texts).to_batches())
    reader = pa.RecordBatchReader.from_batches(texts, batches)
    with new_folder(access.at(folder)) as path:
        _write(reader, path, pa.schema([texts.field(key) for key in keys]))
    return _datasets(folder, access, _format(schema, keys))


def _write(reader: Any, folder: Path, keys: Any) -> None:
    import pyarrow.dataset as arrow

    arrow.write_dataset(
        reader,
        folder,
        format="parquet",
        partitioning=arrow.DirectoryPartitioning(keys, segment_encoding="none"),
        basename_template="part-{i}.parquet",
        max_partitions=100_000,
        use_threads=False,  # keeps the rows in order
    )


def _datasets(folder: Place, access: StoreAccess, text: str) -> tuple[TabularDataset, FileDataset]:
    partition = PartitionFormat(text)
    table = TabularDataset(Source((folder,), Parquet(), partition=partition), access=access)
    files = FileDataset(FromFiles(((folder.datastore or None, folder.path),)), partition=partition, access=access)
    return table, files


def _format(schema: Any, keys: list[str]) -> str:
    import pyarrow as pa

    parts = [
        f"{{{key}:{_DATE_FORMAT}}}" if pa.types.is_timestamp(schema.field(key).type) else f"{{{key}}}" for key in keys
    ]
    return f"/{'/'.join(parts)}/*.parquet"


def _named(table: Any, keys: list[str], schema: Any) -> Any:
    """Replace the keys' values by the names of folders."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for key in keys:
        values = table.column(key)
        is_date = pa.types.is_timestamp(values.type)
        names = (
            pc.strftime(pc.cast(values, pa.timestamp("s"), safe=False), _DATE)
            if is_date
            else pc.cast(values, pa.string())
        )
        for name in _unusable(pc.unique(names).to_pylist()):
            raise DataError(
                f"partition_by: column {key!r} holds {name!r}, which cannot name a folder. Filter or replace it."
            )
        table = table.set_column(table.column_names.index(key), key, names)
    return table.cast(schema)


def _unusable(names: Iterable[str | None]) -> Iterator[str | None]:
    return (name for name in names if not name or name in {".", ".."} or "/" in name or name[0] in "._")
