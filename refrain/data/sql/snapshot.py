"""Snapshot: the rows of a dataset at one moment, as a Parquet file and a digest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refrain.data.sql.digest import RowsDigest
from refrain.data.tabular.dataset import TabularDataset
from refrain.data.tabular.source import Sql
from refrain.errors import DataError
from refrain.storage.sql.statement import gives_order

_GROUP_BYTES = 32 << 20


@dataclass(frozen=True)
class Snapshot:
    """Rows that were written. ``bytes`` is the size of the file."""

    digest: str
    rows: int
    bytes: int


def take_snapshot(dataset: TabularDataset, target: Path, product: str) -> Snapshot:
    """Write a dataset's rows to a local Parquet file, in a memory that does not grow with their number.

    The digest is that of the rows after all operations, so that rows which a filter leaves out do not count.

    :param product: whose query it is, see :class:`refrain.storage.sql.address.DatabaseAddress`.
    :raises DataError: when the rows cannot be read, or the file cannot be written.
    """
    from pyarrow.parquet import ParquetWriter

    scan = dataset.scan()
    schema = scan.empty.schema
    form = dataset.source.format
    digest = RowsDigest(schema, is_ordered=not isinstance(form, Sql) or gives_order(form.query, product))
    try:
        with ParquetWriter(target, schema) as writer:
            for table in _groups((batch.table for batch in scan.batches()), schema):
                for part in table.to_batches():
                    digest.add(part)
                writer.write_table(table)
    except OSError as error:
        target.unlink(missing_ok=True)
        if isinstance(error, DataError):
            raise
        raise DataError(f"The rows cannot be written to {str(target)!r}: {error.strerror or error}.") from error
    return Snapshot(digest.hexdigest(), digest.rows, target.stat().st_size)


def _groups(tables: Iterator[Any], schema: Any) -> Iterator[Any]:
    """Put small tables together, so that the file has few groups of rows."""
    import pyarrow as pa

    waiting: list[Any] = []
    for table in tables:
        waiting.append(table.cast(schema))
        if sum(part.nbytes for part in waiting) >= _GROUP_BYTES:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
