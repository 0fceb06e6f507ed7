"""SqlReader: the rows of a relation for a dataset's operations, as the database gives them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

from refrain.data.tabular.access import SourceFile
from refrain.data.tabular.chunk import Chunk, Misfits, Piece
from refrain.data.tabular.column import Column
from refrain.data.tabular.source import Source, Sql
from refrain.errors import DataError
from refrain.storage.sql.database import Database


class SqlReader:
    """Reads the rows of one relation, each time anew. Its columns are asked for before, without rows."""

    def __init__(self, source: Source, database: Database) -> None:
        assert isinstance(source.format, Sql)  # noqa: S101  # of which this is the reader
        self._kinds = dict(source.types)
        self._form = source.format
        self._database = database

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that it gives."""
        return tuple(self._schema.names)

    @cached_property
    def types(self) -> dict[str, Any]:
        """Column name to Arrow type."""
        kinds = self._kinds
        return {field.name: kinds[field.name].arrow() if field.name in kinds else field.type for field in self._schema}

    def pieces(self, file: SourceFile, wanted: tuple[str, ...], misfits: Misfits) -> Iterator[Piece]:
        """Yield the rows in pieces, as the database gives them."""
        row = 1
        with self._database.read(self._form.relation, self._form.timeout) as result:
            for batch in result.batches():
                yield partial(self._chunk, file, batch, row, wanted, misfits)
                row += batch.num_rows

    @cached_property
    def _schema(self) -> Any:
        return self._database.describe(self._form.relation, self._form.timeout)

    def _chunk(self, file: SourceFile, batch: Any, row: int, wanted: tuple[str, ...], misfits: Misfits) -> Chunk:
        import pyarrow as pa

        table = pa.Table.from_batches([batch])
        if tuple(table.column_names) != self.columns:
            raise DataError(f"The columns of {file.address!r} changed while it was read. Read it again.")
        columns = [Column(name, self.types[name], self._kinds.get(name)) for name in wanted]
        arrays = [column.fitted(table.column(column.name), file, row, misfits) for column in columns]
        made = pa.table(arrays, names=list(wanted)) if wanted else pa.table({"": pa.nulls(table.num_rows)})
        return Chunk(made, table.nbytes)
