"""Snapshot: what a database answers at one moment, as a Parquet file and a digest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refrain.data.files.dataset import FileDataset
from refrain.data.tabular.converted import ConvertedFiles
from refrain.data.tabular.dataset import TabularDataset
from refrain.data.tabular.operations import Rows, Sample
from refrain.data.tabular.source import Sql
from refrain.errors import DataError
from refrain.storage.sql.database import Database
from refrain.storage.sql.relation import Relation, SqlProcedure, SqlQuery
from refrain.storage.sql.rows_digest import RowsDigest
from refrain.storage.sql.statement import gives_order

_GROUP_BYTES = 32 << 20


@dataclass(frozen=True)
class Snapshot:
    """Rows that were written. ``bytes`` is the size of the file."""

    digest: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Query:
    """What is asked, and whether the order of its rows counts."""

    relation: Relation
    timeout: int
    is_ordered: bool

    def answer(self, database: Database, target: Path) -> Snapshot:
        """Write the rows to a local Parquet file, in a memory that does not grow with their number.

        :raises DataError: when they cannot be read or written; then there is no file.
        """
        try:
            return self._answer(database, target)
        except OSError as error:
            target.unlink(missing_ok=True)
            if isinstance(error, DataError):
                raise
            raise DataError(f"The rows cannot be written to {str(target)!r}: {error.strerror or error}.") from error

    def _answer(self, database: Database, target: Path) -> Snapshot:
        from pyarrow.parquet import ParquetWriter

        with database.read(self.relation, self.timeout) as result:
            digest = RowsDigest(result.schema, self.is_ordered)
            with ParquetWriter(target, result.schema) as writer:
                for group in _groups(result.batches()):
                    for batch in group.to_batches():
                        digest.add(batch)
                    writer.write_table(group)
        return Snapshot(digest.hexdigest(), digest.rows, target.stat().st_size)


def query_of(dataset: TabularDataset | FileDataset, product: str) -> Query:
    """Return what a dataset asks of its database.

    The order of rows counts where the query may promise one, and where the dataset takes rows by their number. What a
    procedure promises nobody can see.

    :param product: see :class:`refrain.storage.sql.address.DatabaseAddress`.
    :raises DataError: for a dataset of something else.
    """
    origin = dataset.origin if isinstance(dataset, FileDataset) else None
    table = origin.table if isinstance(origin, ConvertedFiles) else dataset
    if not isinstance(table, TabularDataset) or not isinstance(table.source.format, Sql):
        raise DataError("This is no dataset of a query.")
    form = table.source.format
    takes_by_number = any(isinstance(operation, Rows | Sample) for operation in table.operations)
    return Query(form.relation, form.timeout, takes_by_number or _promises_order(form.relation, product))


def _promises_order(relation: Relation, product: str) -> bool:
    if isinstance(relation, SqlQuery):
        return gives_order(relation.text, product)
    return isinstance(relation, SqlProcedure)


def _groups(batches: Iterator[Any]) -> Iterator[Any]:
    """Put batches together, so that the file has few groups of rows."""
    import pyarrow as pa

    waiting: list[Any] = []
    size = 0
    for batch in batches:
        waiting.append(batch)
        size += batch.nbytes
        if size >= _GROUP_BYTES:
            yield pa.Table.from_batches(waiting)
            waiting, size = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)
