"""Sqlite: a SQLite file. Its columns have no types, so that the first rows decide them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from refrain.errors import UserError
from refrain.storage.sql.address import DatabaseAddress
from refrain.storage.sql.columns import Field, Rows, inferred
from refrain.storage.sql.product import CONNECT_SECONDS, Login, Raw, Statement, quoted
from refrain.storage.sql.relation import SqlProcedure, SqlTable

_STEPS = 10_000  # of SQLite's machine, between two looks at the clock


class Sqlite:
    """SQLite, from Python's own library."""

    def connect(self, driver: Any, address: DatabaseAddress, login: Login, timeout: int) -> Raw:  # noqa: ARG002
        """Open the file, which must exist."""
        name = f"{Path(address.database).as_uri()}?mode=rw"
        return driver.connect(name, uri=True, timeout=CONNECT_SECONDS, isolation_level=None, check_same_thread=False)

    def quote(self, name: str) -> str:
        """Return a name as an identifier."""
        return '"' + name.replace('"', '""') + '"'

    def call(self, procedure: SqlProcedure) -> Statement:
        """Refuse: SQLite has no stored procedures.

        :raises UserError: always.
        """
        raise UserError(f"SQLite has no stored procedures, so that {procedure.name!r} cannot be called; give a query.")

    def describe(self, raw: Raw, statement: Statement, timeout: int) -> tuple[Field, ...]:
        """Return the columns."""
        return self.rows(raw, statement, timeout).fields

    def rows(self, raw: Raw, statement: Statement, timeout: int) -> Rows:
        """Begin to read; *timeout* bounds each wait for rows."""
        ends = [0.0]

        def limited(count: int) -> list[tuple[Any, ...]]:
            ends[0] = time.monotonic() + timeout
            found: list[tuple[Any, ...]] = cursor.fetchmany(count)
            return found

        raw.execute("PRAGMA query_only = ON")
        raw.execute("BEGIN")
        if timeout:
            raw.set_progress_handler(lambda: time.monotonic() > ends[0], _STEPS)
        ends[0] = time.monotonic() + timeout
        cursor = raw.execute(statement.text, statement.values)
        return inferred([column[0] for column in cursor.description], limited)

    def abandon(self, raw: Raw) -> None:
        """Close the file."""
        raw.close()

    def stop(self, raw: Raw, again: Raw) -> None:
        """Nothing is left: the query ran in this process."""

    def is_timeout(self, error: BaseException) -> bool:
        """Say whether an error means that the time was up."""
        return str(error) == "interrupted"

    def words(self, error: BaseException) -> str:
        """Return what the database said."""
        return str(error)

    def begin(self, raw: Raw, table: SqlTable) -> Raw:  # noqa: ARG002
        """Begin to load a table; nobody else writes to the file meanwhile."""
        cursor = raw.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        return cursor

    def columns(self, cursor: Raw, table: SqlTable) -> list[str] | None:
        """Return the names of a table's columns, or None."""
        cursor.execute("SELECT name FROM pragma_table_info(?, ?)", (table.table, table.schema or "main"))
        return [name for (name,) in cursor.fetchall()] or None

    def column_type(self, kind: Any) -> str | None:
        """Return the type for an Arrow type in a new table."""
        import pyarrow as pa

        if pa.types.is_decimal(kind) or pa.types.is_timestamp(kind):
            return "TEXT"
        return _COLUMN_TYPES.get(str(kind))

    def create(self, cursor: Raw, table: SqlTable, definition: str) -> SqlTable:
        """Make a table, which nobody sees before the end of the transaction."""
        cursor.execute(f"CREATE TABLE {quoted(self, table)} ({definition})")
        return table

    def fill(self, cursor: Raw, table: SqlTable, batch: Any) -> None:
        """Add rows."""
        names = ", ".join(self.quote(name) for name in batch.schema.names)
        marks = ", ".join("?" for _ in batch.schema.names)
        rows = zip(*(_insertable(column) for column in batch.columns), strict=True)
        cursor.executemany(f"INSERT INTO {quoted(self, table)} ({names}) VALUES ({marks})", rows)

    def finish(self, raw: Raw, cursor: Raw, filled: SqlTable, table: SqlTable) -> None:  # noqa: ARG002
        """Commit."""
        cursor.execute("COMMIT")

    def undo(self, raw: Raw, cursor: Raw, filled: SqlTable, table: SqlTable) -> None:  # noqa: ARG002
        """Take back what was loaded."""
        raw.rollback()


_COLUMN_TYPES = {
    **dict.fromkeys(["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"], "INTEGER"),
    **dict.fromkeys(["float", "double"], "REAL"),
    **dict.fromkeys(["string", "date32[day]", "time64[us]", "uint64", "null"], "TEXT"),
    "binary": "BLOB",
}


def _insertable(column: Any) -> list[Any]:
    """Return a column's values as SQLite keeps them: what it has no type for, as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_decimal(kind) or pa.types.is_temporal(kind) or pa.types.is_uint64(kind):
        column = pc.cast(column, pa.string())
    values: list[Any] = column.to_pylist()
    return values
