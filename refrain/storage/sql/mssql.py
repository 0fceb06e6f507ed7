"""SqlServer: Microsoft SQL Server and Azure SQL through pymssql.

No server of this kind can be had for tests of this project: what is sent is tested as text, what comes back is not.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from refrain.errors import DataError
from refrain.storage.sql.address import DatabaseAddress
from refrain.storage.sql.columns import Field, Row, Rows, decimal, inferred
from refrain.storage.sql.product import CONNECT_SECONDS, Login, Raw, Statement, bare, option, quoted
from refrain.storage.sql.relation import SqlProcedure, SqlTable

_PORT = 1433
_MOST_ROWS = 1000  # of one INSERT
_LOCK_MILLISECONDS = 10_000
_TIMED_OUT = 20003
# sys.types.system_type_id
_TYPES = {
    48: "uint8",
    52: "int16",
    56: "int32",
    127: "int64",
    104: "bool",
    59: "float32",
    62: "float64",
    40: "date32",
    34: "binary",
    165: "binary",
    173: "binary",
    189: "binary",
}
_DECIMALS = {106, 108, 60, 122}  # decimal, numeric, money, smallmoney
_MOMENTS = {42, 58, 61}  # datetime2, smalldatetime, datetime
_TIME, _MOMENT_WITH_ZONE = 41, 43


class SqlServer:
    """SQL Server. It has no transactions that only read: what a query writes is rolled back."""

    def connect(self, driver: Any, address: DatabaseAddress, login: Login, timeout: int) -> Raw:
        """Open a connection; *timeout* bounds each wait for the server."""
        where = {"server": address.host, "port": str(address.port or _PORT), "database": address.database}
        who = {"user": login.user, "password": login.password, "appname": "refrain"}
        limits = {"timeout": timeout, "login_timeout": CONNECT_SECONDS, "use_datetime2": True}
        options = {name: option(value) for name, value in address.options} | dict(login.options)
        return driver.connect(**{**where, **who, **limits, **options})

    def quote(self, name: str) -> str:
        """Return a name as an identifier."""
        return "[" + name.replace("]", "]]") + "]"

    def call(self, procedure: SqlProcedure) -> Statement:
        """Return a call with parameters by name."""
        names = ", ".join(f"@{bare(item.name.lstrip('@'))} = %s" for item in procedure.arguments)
        name = bare(quoted(self, SqlTable(procedure.name)))
        return Statement(f"EXEC {name} {names}".rstrip(), tuple(item.bound() for item in procedure.arguments))

    def describe(self, raw: Raw, statement: Statement, timeout: int) -> tuple[Field, ...]:  # noqa: ARG002
        """Return the columns; the query does not run."""
        cursor = raw.cursor()
        cursor.execute("EXEC sp_describe_first_result_set @tsql = %s", (statement.text,))
        return tuple(described(row) for row in cursor.fetchall() if not row[0])

    def rows(self, raw: Raw, statement: Statement, timeout: int) -> Rows:
        """Begin to read."""
        fields = () if statement.values else self.describe(raw, statement, timeout)
        cursor = raw.cursor()
        cursor.execute(statement.text, statement.values or None)
        if cursor.description is None:
            raise DataError("It gives no rows.")

        def fetch(count: int) -> list[Row]:
            return [[str(v) if isinstance(v, UUID) else v for v in row] for row in cursor.fetchmany(count)]

        return Rows(fields, fetch) if fields else inferred([column[0] for column in cursor.description], fetch)

    def abandon(self, raw: Raw) -> None:
        """Close a connection; the server rolls back."""
        raw.close()

    def stop(self, raw: Raw, again: Raw) -> None:
        """Nothing is left: FreeTDS cancels what has timed out."""

    def is_timeout(self, error: BaseException) -> bool:
        """Say whether an error means that the time was up."""
        code, _ = _code_and_words(error)
        return code == _TIMED_OUT

    def words(self, error: BaseException) -> str:
        """Return what the database said."""
        _, said = _code_and_words(error)
        return said.partition("DB-Lib error message")[0].strip() or said

    def begin(self, raw: Raw, table: SqlTable) -> Raw:
        """Begin to load a table, under a lock that ends with the transaction.

        :raises DataError: when another load holds it.
        """
        cursor = raw.cursor()
        cursor.execute(
            "DECLARE @got int; EXEC @got = sp_getapplock @Resource = %s, @LockMode = 'Exclusive', "
            "@LockOwner = 'Transaction', @LockTimeout = %s; SELECT @got",
            (f"refrain:{table.name}"[:255], _LOCK_MILLISECONDS),
        )
        if cursor.fetchone()[0] < 0:
            raise DataError("Another load of it is running; wait for that one.")
        return cursor

    def columns(self, cursor: Raw, table: SqlTable) -> list[str] | None:
        """Return the names of a table's columns, or None."""
        cursor.execute(
            "SELECT name FROM sys.columns WHERE object_id = OBJECT_ID(%s) ORDER BY column_id", (quoted(self, table),)
        )
        return [row[0] for row in cursor.fetchall()] or None

    def column_type(self, kind: Any) -> str | None:
        """Return the type for an Arrow type in a new table."""
        import pyarrow as pa

        if pa.types.is_decimal(kind):
            return f"decimal({kind.precision}, {kind.scale})" if kind.precision <= 38 else None
        if pa.types.is_timestamp(kind):
            return "datetimeoffset(6)" if kind.tz else "datetime2(6)"
        return _COLUMN_TYPES.get(str(kind))

    def create(self, cursor: Raw, table: SqlTable, definition: str) -> SqlTable:
        """Make a table, which nobody sees before the end of the transaction."""
        cursor.execute(f"CREATE TABLE {quoted(self, table)} ({definition})")
        return table

    def fill(self, cursor: Raw, table: SqlTable, batch: Any) -> None:
        """Add rows, many by one statement."""
        for start in range(0, batch.num_rows, _MOST_ROWS):
            insert = insertion(self, table, batch.slice(start, _MOST_ROWS))
            cursor.execute(insert.text, insert.values)

    def finish(self, raw: Raw, cursor: Raw, filled: SqlTable, table: SqlTable) -> None:  # noqa: ARG002
        """Commit."""
        raw.commit()

    def undo(self, raw: Raw, cursor: Raw, filled: SqlTable, table: SqlTable) -> None:  # noqa: ARG002
        """Take back what was loaded."""
        raw.rollback()


_COLUMN_TYPES = {
    "bool": "bit",
    "int8": "smallint",
    "int16": "smallint",
    "int32": "int",
    "int64": "bigint",
    "uint8": "tinyint",
    "uint16": "int",
    "uint32": "bigint",
    "uint64": "decimal(20)",
    "float": "real",
    "double": "float",
    "string": "nvarchar(max)",
    "binary": "varbinary(max)",
    "date32[day]": "date",
    "time64[us]": "time(6)",
    "null": "nvarchar(max)",
}


def described(row: Row) -> Field:
    """Return the column that a row of ``sp_describe_first_result_set`` tells of."""
    import pyarrow as pa

    name, code, word, precision, scale = row[2], row[4], row[5], row[7], row[8]
    if code in _DECIMALS:
        kind = decimal(precision, scale)
    elif code in _MOMENTS or code == _MOMENT_WITH_ZONE:
        kind = pa.timestamp("us", "UTC" if code == _MOMENT_WITH_ZONE else None)
    elif code == _TIME:
        kind = pa.time64("us")
    else:
        kind = pa.type_for_alias(_TYPES.get(code, "string"))
    return Field(name or "", kind, word or str(code))


def insertion(product: SqlServer, table: SqlTable, batch: Any) -> Statement:
    """Return one statement that adds a batch of at most 1,000 rows."""
    names = ", ".join(bare(product.quote(name)) for name in batch.schema.names)
    columns = [_insertable(column) for column in batch.columns]
    marks = f"({', '.join(['%s'] * len(columns))})"
    text = f"INSERT INTO {bare(quoted(product, table))} ({names}) VALUES {', '.join([marks] * batch.num_rows)}"
    return Statement(text, tuple(value for row in zip(*columns, strict=True) for value in row))


def _code_and_words(error: BaseException) -> tuple[object, str]:
    """Take apart what pymssql raises: the two, or a pair of them."""
    parts = error.args[0] if error.args and isinstance(error.args[0], tuple) else error.args
    text = parts[-1] if parts else str(error)
    return (parts[0] if parts else None), text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _insertable(column: Any) -> list[Any]:
    """Return a column's values as the driver binds them: dates as ISO 8601 texts, which every setting reads alike."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_temporal(column.type):
        is_zoned = pa.types.is_timestamp(column.type) and column.type.tz
        column = pc.cast(column, pa.timestamp("us")) if is_zoned else column
        column = pc.cast(column, pa.string())
        column = pc.binary_join_element_wise(column, "+00:00", " ") if is_zoned else column
    values: list[Any] = column.to_pylist()
    return values
