"""Loads: rows of files into a table, all of them or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from refrain.data.tabular.dataset import TabularDataset
from refrain.data.tabular.source import Delimited
from refrain.data.tabular.types import DataType
from refrain.execution.sizes import size_text
from refrain.storage.sql.database import Database
from refrain.storage.sql.loading import Loaded, LoadMode
from refrain.storage.sql.relation import SqlTable
from refrain.storage.watch import Watch


@dataclass(frozen=True)
class TableLoad:
    """One load of one table, in the place of the rows that it has.

    :param every: seconds between two lines about how far it is.
    """

    database: Database
    table: SqlTable
    say: Callable[[str], None]
    every: float

    def __str__(self) -> str:
        return f"table {self.table.name!r} of {self.database.location}"

    def run(self, rows: TabularDataset, watch: Watch) -> Loaded:
        """Load the rows; a value that does not fit its column ends it.

        :raises UserError: for columns that the table has not.
        :raises DataError: when rows cannot be read or written.
        :raises TransferCanceledError: when *watch* stopped it.
        """
        rows = self._typed(rows)
        told = time.monotonic()

        def hear(count: int, size: int) -> None:
            nonlocal told
            if time.monotonic() - told >= self.every:
                told = time.monotonic()
                self.say(f"{count:,} rows, {size_text(size)}")

        return self.database.load(self.table, rows.schema, _wanted(rows, watch), LoadMode.REPLACE, hear)

    def _typed(self, rows: TabularDataset) -> TabularDataset:
        """Leave what is to be text or a decimal as it is written: ``007`` is no number, nor ``0.10`` a binary one."""
        import pyarrow as pa

        if not isinstance(rows.source.format, Delimited) or not self.database.has(self.table):
            return rows
        names = set(rows.schema.names)
        columns = [field for field in self.database.describe(self.table, timeout=0) if field.name in names]
        as_written = (f.name for f in columns if pa.types.is_string(f.type) or pa.types.is_decimal(f.type))
        return replace(rows, source=replace(rows.source, types=tuple((n, DataType.to_string()) for n in as_written)))


def _wanted(rows: TabularDataset, watch: Watch) -> Iterator[Any]:
    for batch in rows.batches(on_error="fail"):
        watch.require_wanted()
        yield batch.table
    watch.require_wanted()
