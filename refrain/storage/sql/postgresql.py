"""PostgreSql: PostgreSQL through psycopg2, with a cursor of the server's and ``COPY``."""

from __future__ import annotations

import io
from typing import Any

from refrain.storage.sql.address import DatabaseAddress
from refrain.storage.sql.columns import Field, Rows, decimal
from refrain.storage.sql.product import CONNECT_SECONDS, Login, Raw, Statement, bare, quoted
from refrain.storage.sql.relation import SqlProcedure, SqlTable

_CURSOR = "refrain"
_NUMERIC = 1700
_UNBOUNDED = (76, 38)  # digits, and those behind the point, of a numeric without a declared size
_CANCELED = "57014"
# Object ids are fixed (PostgreSQL's pg_type.dat).
_OWN = {16: "bool", 17: "binary", 20: "int64", 21: "int16", 23: "int32", 26: "int64", 700: "float32", 701: "float64"}
_AS_TEXT = {1082: "date32"}
_READ_ONLY = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class PostgreSql:
    """PostgreSQL, and what speaks like it."""

    def connect(self, driver: Any, address: DatabaseAddress, login: Login, timeout: int) -> Raw:  # noqa: ARG002
        """Open a connection; the time limit is set for each transaction."""
        where: dict[str, Any] = {"dbname": address.database, "host": address.host, "port": address.port}
        who = {"user": login.user, "password": login.password}
        given = {name: value for name, value in {**where, **who}.items() if value}
        own = {"connect_timeout": CONNECT_SECONDS, "client_encoding": "utf8", "application_name": "refrain"}
        return driver.connect(**{**own, **given, **dict(address.options), **login.options})

    def quote(self, name: str) -> str:
        """Return a name as an identifier."""
        return '"' + name.replace('"', '""') + '"'

    def call(self, procedure: SqlProcedure) -> Statement:
        """Return a query of a function's rows, its parameters given by name."""
        names = ", ".join(f"{bare(self.quote(item.name.lstrip('@')))} => %s" for item in procedure.arguments)
        name = bare(quoted(self, SqlTable(procedure.name)))
        return Statement(f"SELECT * FROM {name}({names})", tuple(item.bound() for item in procedure.arguments))

    def describe(self, raw: Raw, statement: Statement, timeout: int) -> tuple[Field, ...]:
        """Return the columns; the query is planned and not run."""
        return self.rows(raw, statement, timeout).fields

    def rows(self, raw: Raw, statement: Statement, timeout: int) -> Rows:
        """Begin to read; *timeout* bounds each wait for rows."""
        cursor = raw.cursor()
        cursor.execute(_READ_ONLY)
        cursor.execute("SET LOCAL statement_timeout = %s", (timeout * 1000,))
        cursor.execute("SET LOCAL TIME ZONE 'UTC'")
        cursor.execute(f"DECLARE {_CURSOR} NO SCROLL CURSOR FOR {statement.text}", statement.values or None)
        cursor.execute(f"FETCH FORWARD 0 FROM {_CURSOR}")
        fields = tuple(_field(column) for column in cursor.description)
        _take_as_text(raw, [column.type_code for column in cursor.description if column.type_code not in _OWN])

        def fetch(count: int) -> list[tuple[Any, ...]]:
            cursor.execute(f"FETCH FORWARD {count:d} FROM {_CURSOR}")
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

        return Rows(fields, fetch)

    def abandon(self, raw: Raw) -> None:
        """Close a connection at once."""
        raw.close()

    def stop(self, raw: Raw, again: Raw) -> None:
        """Nothing is left: the server has ended what timed out."""

    def is_timeout(self, error: BaseException) -> bool:
        """Say whether an error means that the time was up."""
        return getattr(error, "pgcode", None) == _CANCELED

    def words(self, error: BaseException) -> str:
        """Return what the database said."""
        diagnostics = getattr(error, "diag", None)
        return str(getattr(diagnostics, "message_primary", None) or error)

    def begin(self, raw: Raw, table: SqlTable) -> Raw:
        """Begin to load a table; one that is there is locked against other writers, not against readers."""
        cursor = raw.cursor()
        if self.columns(cursor, table) is not None:
            cursor.execute(f"LOCK TABLE {quoted(self, table)} IN SHARE ROW EXCLUSIVE MODE")
        return cursor

    def columns(self, cursor: Raw, table: SqlTable) -> list[str] | None:
        """Return the names of a table's columns, or None."""
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped "
            "ORDER BY attnum",
            (quoted(self, table),),
        )
        return [name for (name,) in cursor.fetchall()] or None

    def column_type(self, kind: Any) -> str | None:
        """Return the type for an Arrow type in a new table."""
        import pyarrow as pa

        if pa.types.is_decimal(kind):
            return f"numeric({kind.precision}, {kind.scale})"
        if pa.types.is_timestamp(kind):
            return "timestamptz" if kind.tz else "timestamp"
        return _COLUMN_TYPES.get(str(kind))

    def create(self, cursor: Raw, table: SqlTable, definition: str) -> SqlTable:
        """Make a table, which nobody sees before the end of the transaction."""
        cursor.execute(f"CREATE TABLE {quoted(self, table)} ({definition})")
        return table

    def fill(self, cursor: Raw, table: SqlTable, batch: Any) -> None:
        """Add rows by ``COPY``."""
        from pyarrow import csv

        buffer = io.BytesIO()
        options = csv.WriteOptions(include_header=False, quoting_style="needed")
        csv.write_csv(_copyable(batch), buffer, options)
        buffer.seek(0)
        names = ", ".join(self.quote(name) for name in batch.schema.names)
        cursor.copy_expert(f"COPY {quoted(self, table)} ({names}) FROM STDIN WITH (FORMAT csv)", buffer)

    def finish(self, raw: Raw, cursor: Raw, filled: SqlTable, table: SqlTable) -> None:  # noqa: ARG002
        """Commit."""
        raw.commit()

    def undo(self, raw: Raw, cursor: Raw, filled: SqlTable, table: SqlTable) -> None:  # noqa: ARG002
        """Take back what was loaded."""
        raw.rollback()


_COLUMN_TYPES = {
    "bool": "boolean",
    "int8": "smallint",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "uint8": "smallint",
    "uint16": "integer",
    "uint32": "bigint",
    "uint64": "numeric(20)",
    "float": "real",
    "double": "double precision",
    "string": "text",
    "binary": "bytea",
    "date32[day]": "date",
    "time64[us]": "time",
    "null": "text",
}


def _field(column: Any) -> Field:
    import pyarrow as pa

    code = column.type_code
    if code == _NUMERIC:
        is_bounded = column.precision and 0 < column.precision <= _UNBOUNDED[0] and (column.scale or 0) >= 0
        kind = decimal(column.precision, column.scale or 0) if is_bounded else decimal(*_UNBOUNDED)
    elif code in (1114, 1184):
        kind = pa.timestamp("us", "UTC" if code == 1184 else None)
    elif code == 1083:
        kind = pa.time64("us")
    else:
        kind = pa.type_for_alias(_OWN.get(code) or _AS_TEXT.get(code) or "string")
    return Field(column.name, kind, str(code))


def _take_as_text(raw: Raw, codes: list[int]) -> None:
    """Let the driver hand over other types as the server writes them; Arrow reads them faster, and misses nothing.

    Without this, psycopg2 would for instance turn infinite dates into the year 9999.
    """
    from psycopg2.extensions import new_type, register_type

    if codes:
        register_type(new_type(tuple(set(codes)), "REFRAIN_TEXT", lambda value, _: value), raw)


def _copyable(batch: Any) -> Any:
    """Write what ``COPY`` reads: bytes as hexadecimal digits."""
    import pyarrow as pa

    arrays = [
        pa.array([None if value is None else f"\\x{value.hex()}" for value in column.to_pylist()], pa.string())
        if pa.types.is_binary(column.type)
        else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)
