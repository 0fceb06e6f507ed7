"""Load: rows into a table, all of them or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

from refrain.errors import UserError, did_you_mean
from refrain.storage.sql.product import Raw, quoted
from refrain.storage.sql.relation import SqlTable
from refrain.storage.sql.session import Session

_MOST_ROWS = 20_000  # of one statement
_PART_BYTES = 8 << 20

Progress = Callable[[int, int], None]


class LoadMode(str, Enum):
    """What becomes of the rows that a table has."""

    APPEND = "append"  # they stay
    REPLACE = "replace"  # they are gone when the new ones are there


@dataclass(frozen=True)
class Loaded:
    """What was written. ``bytes`` is the size in Arrow's memory."""

    rows: int
    bytes: int


def unnoticed(rows: int, size: int) -> None:
    """Take no notice of progress."""


@dataclass(frozen=True)
class Load:
    """One load of one table.

    :param schema: the Arrow schema of what is loaded.
    """

    session: Session
    table: SqlTable
    schema: Any
    mode: LoadMode

    def run(self, batches: Iterable[Any], progress: Progress) -> Loaded:
        """Load the batches; see :meth:`refrain.storage.sql.database.Database.load`."""
        product, raw = self.session.product, self.session.raw
        schema = _plain(self.schema)
        with self._guarded():
            cursor = product.begin(raw, self.table)
            present = product.columns(cursor, self.table)
        if present is None:
            definition = self._definition(schema)
            with self._guarded():
                target = product.create(cursor, self.table, definition)
        else:
            self._require_columns(present)
            target = self.table
        try:
            if present is not None and self.mode is LoadMode.REPLACE:
                with self._guarded():
                    cursor.execute(f"DELETE FROM {quoted(product, target)}")
            done = self._fill(cursor, target, _parts(batches, schema), progress)
            with self._guarded():
                product.finish(raw, cursor, target, self.table)
        except BaseException:
            with suppress(Exception):
                product.undo(raw, cursor, target, self.table)
            raise
        return done

    def _fill(self, cursor: Raw, target: SqlTable, parts: Iterator[Any], progress: Progress) -> Loaded:
        done = Loaded(0, 0)
        for part in parts:
            with self._guarded():
                self.session.product.fill(cursor, target, part)
            done = Loaded(done.rows + part.num_rows, done.bytes + part.nbytes)
            progress(done.rows, done.bytes)
        return done

    def _guarded(self) -> Any:
        return self.session.guarded(f"the load of table {self.table.name!r}")

    def _definition(self, schema: Any) -> str:
        columns = []
        for field in schema:
            kind = self.session.product.column_type(field.type)
            if kind is None:
                raise UserError(
                    f"Table {self.table.name!r} cannot be made: there is no column type for {field.name!r}, which is "
                    f"{field.type}. Convert it, for instance to text, or make the table first."
                )
            columns.append(f"{self.session.product.quote(field.name)} {kind}")
        return ", ".join(columns)

    def _require_columns(self, present: list[str]) -> None:
        for name in self.schema.names:
            if name not in present:
                raise UserError(
                    f"Table {self.table.name!r} has no column {name!r}. Columns: {', '.join(present)}."
                    f"{did_you_mean(name, present)} Rename the column, or load another table."
                )


def _plain(schema: Any) -> Any:
    """Return the schema with values as such, however they are kept, and moments in microseconds."""
    import pyarrow as pa

    return pa.schema([pa.field(field.name, _plain_type(field.type)) for field in schema])


def _plain_type(kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if pa.types.is_time(kind):
        return pa.time64("us")
    for is_kind, plain in (
        (pa.types.is_large_string, pa.string()),
        (pa.types.is_string_view, pa.string()),
        (pa.types.is_large_binary, pa.binary()),
        (pa.types.is_fixed_size_binary, pa.binary()),
        (pa.types.is_date64, pa.date32()),
        (pa.types.is_float16, pa.float32()),
    ):
        if is_kind(kind):
            return plain
    return kind


def _parts(batches: Iterable[Any], schema: Any) -> Iterator[Any]:
    """Cut batches so that a statement stays small."""
    import pyarrow as pa

    for batch in batches:
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        table = table.select(schema.names).cast(schema)
        count = max(1, min(_MOST_ROWS, table.num_rows * _PART_BYTES // max(1, table.nbytes)))
        for part in table.to_batches(max_chunksize=count):
            if part.num_rows:
                yield part
