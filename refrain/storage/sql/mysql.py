"""MySql: MySQL and MariaDB through PyMySQL, unbuffered; new tables are loaded aside and renamed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from refrain.errors import DataError, UserError
from refrain.storage.digest import digest_bytes
from refrain.storage.sql.address import DatabaseAddress
from refrain.storage.sql.columns import Field, Rows, decimal
from refrain.storage.sql.product import CONNECT_SECONDS, Login, Raw, Statement, bare, option, quoted
from refrain.storage.sql.relation import SqlProcedure, SqlTable

_BINARY = 63  # the number of the character set that means bytes
_UNSIGNED = 32  # a flag of a column
_LOST = 2013
_LOCK_SECONDS = 10
_DECIMAL, _TIMESTAMP, _DATETIME, _NEW_DECIMAL = 0, 7, 12, 246
_DATE = 10
_INTEGERS = {1: 8, 2: 16, 3: 32, 8: 64, 9: 32, 13: 16}  # MEDIUMINT takes the room of INT, YEAR that of SMALLINT
_BYTES = {16, 249, 250, 251, 252, 253, 254, 255}  # BIT, the BLOBs and TEXTs, VARCHAR, CHAR, GEOMETRY
_FLOATS = {4: "float32", 5: "float64"}
_READ_ONLY = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"


class MySql:
    """MySQL, MariaDB, and what speaks like them."""

    def connect(self, driver: Any, address: DatabaseAddress, login: Login, timeout: int) -> Raw:
        """Open a connection; *timeout* bounds each wait for the server."""
        from pymysql.converters import encoders

        where = {"host": address.host, "port": address.port, "database": address.database}
        who = {"user": login.user, "password": login.password, "read_timeout": timeout}
        options = {name: option(value) for name, value in address.options} | dict(login.options)
        if "host" in options:
            options["unix_socket"] = options.pop("host")
        # All but numbers comes as the server writes it: Arrow reads it faster, and misses nothing.
        readers = {**dict.fromkeys(_INTEGERS, int), **dict.fromkeys(_FLOATS, float)}
        given = {name: value for name, value in {**where, **who}.items() if value}
        own = {"connect_timeout": CONNECT_SECONDS, "charset": "utf8mb4", "conv": {**encoders, **readers}}
        raw = driver.connect(**{**own, **given, **options})
        raw.cursor().execute("SET SESSION time_zone = '+00:00'")
        return raw

    def quote(self, name: str) -> str:
        """Return a name as an identifier."""
        return "`" + name.replace("`", "``") + "`"

    def call(self, procedure: SqlProcedure) -> Statement:
        """Return a call; MySQL knows parameters by their order only."""
        marks = ", ".join("%s" for _ in procedure.arguments)
        name = bare(quoted(self, SqlTable(procedure.name)))
        return Statement(f"CALL {name}({marks})", tuple(item.bound() for item in procedure.arguments))

    def describe(self, raw: Raw, statement: Statement, timeout: int) -> tuple[Field, ...]:
        """Return the columns of a query, of which no row is asked for."""
        return self.rows(raw, Statement(f"SELECT * FROM (\n{statement.text}\n) AS refrain LIMIT 0"), timeout).fields

    def rows(self, raw: Raw, statement: Statement, timeout: int) -> Rows:  # noqa: ARG002
        """Begin to read."""
        from pymysql.cursors import SSCursor

        raw.cursor().execute(_READ_ONLY)
        cursor = raw.cursor(SSCursor)
        cursor.execute(statement.text, statement.values or None)
        if cursor.description is None:
            raise DataError("It gives no rows.")
        # The description that drivers agree upon tells neither bytes from text nor signed from unsigned.
        fields = tuple(_field(column) for column in cursor._result.fields)
        return Rows(fields, cursor.fetchmany)

    def abandon(self, raw: Raw) -> None:
        """Close a connection at once.

        PyMySQL would read what is left of an unbuffered result, to the last row.
        """
        result = getattr(raw, "_result", None)
        if result is not None:
            result.unbuffered_active = result.has_next = False
        raw._force_close()

    def stop(self, raw: Raw, again: Raw) -> None:
        """End what a connection is still doing on the server, through another one."""
        with suppress(Exception):
            again.cursor().execute("KILL %s", (raw.thread_id(),))

    def is_timeout(self, error: BaseException) -> bool:
        """Say whether an error means that the time was up."""
        return error.args[:1] == (_LOST,) and "timed out" in str(error)

    def words(self, error: BaseException) -> str:
        """Return what the database said."""
        return str(error.args[1]) if len(error.args) > 1 else str(error)

    def begin(self, raw: Raw, table: SqlTable) -> Raw:
        """Begin to load a table, under a lock that ends with the connection.

        :raises DataError: when another load holds it.
        """
        cursor = raw.cursor()
        cursor.execute("SELECT DATABASE()")
        name = f"refrain:{digest_bytes(f'{table.schema or cursor.fetchone()[0]}.{table.table}'.encode())[:40]}"
        cursor.execute("SELECT GET_LOCK(%s, %s)", (name, _LOCK_SECONDS))
        if str(cursor.fetchone()[0]) != "1":
            raise DataError("Another load of it is running; wait for that one.")
        return cursor

    def columns(self, cursor: Raw, table: SqlTable) -> list[str] | None:
        """Return the names of a table's columns, or None.

        :raises UserError: for a table without transactions, which a killed load would leave half filled.
        """
        cursor.execute(
            "SELECT engine FROM information_schema.tables WHERE table_schema = COALESCE(%s, DATABASE()) "
            "AND table_name = %s",
            (table.schema, table.table),
        )
        found = cursor.fetchone()
        if found is None:
            return None
        if found[0] != "InnoDB":
            raise UserError(
                f"Table {table.name!r} is kept by {found[0] or 'a view'}, which has no transactions: a load that is "
                f"killed would leave a part. ALTER TABLE {quoted(self, table)} ENGINE = InnoDB, or load another table."
            )
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = COALESCE(%s, DATABASE()) "
            "AND table_name = %s ORDER BY ordinal_position",
            (table.schema, table.table),
        )
        return [name for (name,) in cursor.fetchall()]

    def column_type(self, kind: Any) -> str | None:
        """Return the type for an Arrow type in a new table."""
        import pyarrow as pa

        if pa.types.is_decimal(kind):
            return f"decimal({kind.precision}, {kind.scale})" if kind.precision <= 65 and kind.scale <= 30 else None
        if pa.types.is_timestamp(kind):
            return "datetime(6)"
        return _COLUMN_TYPES.get(str(kind))

    def create(self, cursor: Raw, table: SqlTable, definition: str) -> SqlTable:
        """Make a table aside: MySQL cannot take back that it made one."""
        aside = f"_refrain_{digest_bytes(table.table.encode())[:16]}"
        made = SqlTable(f"{table.schema}.{aside}" if table.schema else aside)
        cursor.execute(f"DROP TABLE IF EXISTS {quoted(self, made)}")  # of a load that was killed: we hold the lock
        cursor.execute(f"CREATE TABLE {quoted(self, made)} ({definition}) ENGINE = InnoDB CHARACTER SET utf8mb4")
        return made

    def fill(self, cursor: Raw, table: SqlTable, batch: Any) -> None:
        """Add rows; PyMySQL puts many into one statement."""
        names = ", ".join(bare(self.quote(name)) for name in batch.schema.names)
        marks = ", ".join("%s" for _ in batch.schema.names)
        columns = [_insertable(column) for column in batch.columns]
        insert = f"INSERT INTO {bare(quoted(self, table))} ({names}) VALUES ({marks})"
        cursor.executemany(insert, list(zip(*columns, strict=True)))

    def finish(self, raw: Raw, cursor: Raw, filled: SqlTable, table: SqlTable) -> None:
        """Commit; a new table gets its name in one step."""
        raw.commit()
        if filled != table:
            cursor.execute(f"RENAME TABLE {quoted(self, filled)} TO {quoted(self, table)}")

    def undo(self, raw: Raw, cursor: Raw, filled: SqlTable, table: SqlTable) -> None:
        """Take back what was loaded."""
        raw.rollback()
        if filled != table:
            cursor.execute(f"DROP TABLE IF EXISTS {quoted(self, filled)}")


_COLUMN_TYPES = {
    "bool": "boolean",
    "int8": "tinyint",
    "int16": "smallint",
    "int32": "int",
    "int64": "bigint",
    "uint8": "tinyint unsigned",
    "uint16": "smallint unsigned",
    "uint32": "int unsigned",
    "uint64": "bigint unsigned",
    "float": "float",
    "double": "double",
    "string": "longtext",
    "binary": "longblob",
    "date32[day]": "date",
    "time64[us]": "time(6)",
    "null": "longtext",
}


def _field(column: Any) -> Field:
    return Field(column.name, _type(column), str(column.type_code))


def _type(column: Any) -> Any:
    import pyarrow as pa

    code, is_unsigned = column.type_code, bool(column.flags & _UNSIGNED)
    if code in _INTEGERS:
        return pa.type_for_alias(f"{'u' if is_unsigned else ''}int{_INTEGERS[code]}")
    if code in (_DECIMAL, _NEW_DECIMAL):
        # The length counts the sign and the point, too.
        return decimal(column.length - (not is_unsigned) - bool(column.scale), column.scale)
    if code in (_TIMESTAMP, _DATETIME):
        return pa.timestamp("us", "UTC" if code == _TIMESTAMP else None)
    if code in _BYTES and column.charsetnr == _BINARY and column.length:
        return pa.binary()
    return pa.date32() if code == _DATE else pa.type_for_alias(_FLOATS.get(code, "string"))


def _insertable(column: Any) -> list[Any]:
    """Return a column's values as PyMySQL binds them: moments without their zone, which is UTC."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(column.type):
        column = pc.cast(column, pa.timestamp("us", column.type.tz), safe=False).cast(pa.timestamp("us"))
    values: list[Any] = column.to_pylist()
    return values
