"""SQL Server: what is sent to it, as text. No server of this kind is at hand: what comes back is not tested here."""

from __future__ import annotations

from datetime import date, datetime, time, timezone
from decimal import Decimal
from types import SimpleNamespace

import pyarrow as pa
import pytest

from refrain.storage.sql.address import DatabaseAddress
from refrain.storage.sql.mssql import SqlServer, described, insertion
from refrain.storage.sql.product import Login
from refrain.storage.sql.relation import ParameterType, SqlArgument, SqlProcedure, SqlTable

server = SqlServer()
TYPES = {
    "bool": pa.bool_(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
}


def test_the_driver_is_asked_for_what_the_address_says():
    driver = SimpleNamespace(connect=dict)
    address = DatabaseAddress.parse("s", "mssql://host:1444/db?encryption=require&read_only=true")
    given = server.connect(driver, address, Login("me", "secret", {"tds_version": "7.4"}), 30)
    assert given == {
        "server": "host",
        "port": "1444",
        "database": "db",
        "user": "me",
        "password": "secret",
        "appname": "refrain",
        "timeout": 30,
        "login_timeout": 10,
        "use_datetime2": True,
        "encryption": "require",
        "read_only": True,
        "tds_version": "7.4",
    }


def test_names_are_quoted_as_sqlalchemy_quotes_them():
    from sqlalchemy.dialects import mssql

    quote = mssql.dialect().identifier_preparer.quote_identifier
    for name in ("t", "a b", "a]b", "[a]"):
        assert server.quote(name) == quote(name)


def test_types_of_new_tables_are_those_that_sqlalchemy_knows():
    from sqlalchemy import types
    from sqlalchemy.dialects import mssql

    compiled = mssql.dialect().type_compiler_instance.process
    known = {
        "bool": mssql.BIT(),
        "int16": types.SMALLINT(),
        "int32": types.INTEGER(),
        "int64": types.BIGINT(),
        "float32": mssql.REAL(),
        "float64": types.FLOAT(),
        "string": mssql.NVARCHAR("max"),
        "binary": mssql.VARBINARY("max"),
        "date": types.DATE(),
    }
    words = {"integer": "int"}
    for name, kind in TYPES.items():
        text = compiled(known[name]).lower()
        assert server.column_type(kind) == words.get(text, text), name
    assert server.column_type(pa.timestamp("us")) == compiled(mssql.DATETIME2(6)).lower()
    assert server.column_type(pa.timestamp("us", "UTC")) == compiled(mssql.DATETIMEOFFSET(6)).lower()
    assert server.column_type(pa.time64("us")) == compiled(mssql.TIME(6)).lower()
    assert server.column_type(pa.decimal128(10, 2)) == compiled(types.DECIMAL(10, 2)).lower()
    assert server.column_type(pa.decimal256(76, 38)) is None


def test_a_procedure_is_called_with_its_parameters_by_name():
    arguments = (SqlArgument("@n", "3", ParameterType.INT), SqlArgument("name", "x"))
    call = server.call(SqlProcedure("dbo.p%", arguments))
    assert (call.text, call.values) == ("EXEC [dbo].[p%%] @n = %s, @name = %s", (3, "x"))
    assert server.call(SqlProcedure("p")).text == "EXEC [p]"


def test_rows_are_inserted_with_every_value_bound():
    batch = pa.RecordBatch.from_pydict(
        {
            "a%": ["x'; DROP TABLE t", None],
            "m": pa.array([datetime(2020, 1, 2, 3, 4, 5, 6, timezone.utc), None], pa.timestamp("us", "UTC")),
            "n": pa.array([datetime(2020, 1, 2), None], pa.timestamp("us")),
            "d": [date(2020, 1, 2), None],
            "t": pa.array([time(1, 2, 3), None], pa.time64("us")),
            "p": [Decimal("1.50"), None],
        }
    )
    insert = insertion(server, SqlTable("dbo.t"), batch)
    marks = "(%s, %s, %s, %s, %s, %s)"
    assert insert.text == f"INSERT INTO [dbo].[t] ([a%%], [m], [n], [d], [t], [p]) VALUES {marks}, {marks}"
    assert insert.values[:6] == (
        "x'; DROP TABLE t",
        "2020-01-02 03:04:05.000006 +00:00",
        "2020-01-02 00:00:00.000000",
        "2020-01-02",
        "01:02:03.000000",
        Decimal("1.50"),
    )
    assert insert.values[6:] == (None,) * 6


@pytest.mark.parametrize(
    ("code", "precision", "scale", "kind"),
    [
        (48, 3, 0, pa.uint8()),
        (127, 19, 0, pa.int64()),
        (108, 20, 4, pa.decimal128(20, 4)),
        (60, 19, 4, pa.decimal128(19, 4)),
        (42, 27, 7, pa.timestamp("us")),
        (43, 34, 7, pa.timestamp("us", "UTC")),
        (41, 16, 7, pa.time64("us")),
        (165, 0, 0, pa.binary()),
        (231, 0, 0, pa.string()),
        (36, 0, 0, pa.string()),
    ],
)
def test_a_described_column_has_its_type(code, precision, scale, kind):
    row = (False, 1, "a", True, code, "word", 8, precision, scale)
    assert described(row).type == kind


def test_the_servers_words_are_found_in_what_the_driver_says():
    error = Exception(208, b"Invalid object name 'nope'.DB-Lib error message 20018, severity 16:\nGeneral SQL")
    assert server.words(error) == "Invalid object name 'nope'."
    assert server.is_timeout(Exception(20003, b"timed out"))
    assert not server.is_timeout(error)
