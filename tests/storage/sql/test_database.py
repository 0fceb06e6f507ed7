"""Rows out of real databases."""

from __future__ import annotations

import json
import threading
import time
from datetime import date, datetime, timezone
from datetime import time as time_of_day
from decimal import Decimal

import pyarrow as pa
import pytest

from fakes.databases import location
from fakes.waiting import eventually
from refrain.errors import DataError, UserError
from refrain.storage.sql.database import Database
from refrain.storage.sql.relation import ParameterType, SqlArgument, SqlProcedure, SqlQuery, SqlTable

SLOW = {
    "sqlite": "WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n) SELECT max(a) AS a FROM n",
    "postgresql": "SELECT pg_sleep(60)",
    "mysql": "SELECT SLEEP(60)",
}
# As many rows as one likes, 1 to n.
MANY = {
    "sqlite": "WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n LIMIT {n}) SELECT a FROM n",
    "postgresql": "SELECT a FROM generate_series(1, {n}) AS a",
    "mysql": "SELECT seq AS a FROM seq_1_to_{n}",
}


def rows(bench, relation, **options):
    with bench.database.read(relation, **options) as result:
        return pa.Table.from_batches(list(result.batches()), result.schema)


def test_a_table_is_read(bench):
    bench.run("CREATE TABLE t (a INTEGER, b VARCHAR(10))", "INSERT INTO t VALUES (1, 'x'), (NULL, ''), (3, NULL)")
    table = rows(bench, SqlTable("t"))
    assert table.to_pylist() == [{"a": 1, "b": "x"}, {"a": None, "b": ""}, {"a": 3, "b": None}]
    assert bench.database.describe(SqlTable("t")).names == ["a", "b"]


def test_no_rows_have_columns_too(bench):
    bench.run("CREATE TABLE t (a INTEGER, b VARCHAR(10))")
    assert rows(bench, SqlTable("t")).to_pydict() == {"a": [], "b": []}


def test_names_are_taken_as_they_are(bench):
    quote = "`" if bench.product == "mysql" else '"'
    name = "a%s; DROP"
    bench.run(f"CREATE TABLE {quote}{name}{quote} (a INTEGER)", f"INSERT INTO {quote}{name}{quote} VALUES (1)")
    assert rows(bench, SqlTable(name)).to_pylist() == [{"a": 1}]


def test_what_a_query_says_in_percent_stays_that(bench):
    assert rows(bench, SqlQuery("SELECT '50%s' AS a; -- that is 100%")).to_pylist() == [{"a": "50%s"}]


def test_rows_come_in_batches_that_grow_and_are_not_kept(bench):
    with bench.database.read(SqlQuery(MANY[bench.product].format(n=200_000))) as result:
        sizes, total, peak = [], 0, 0
        before = pa.total_allocated_bytes()
        for batch in result.batches():
            sizes.append(batch.num_rows)
            total += sum(batch.column(0).to_pylist())
            peak = max(peak, pa.total_allocated_bytes() - before)
    assert (sizes[0], sum(sizes), total) == (256, 200_000, 200_000 * 200_001 // 2)
    assert max(sizes) <= 65_536
    assert peak < 4 << 20  # two batches of 8 bytes for each row


def test_a_reader_may_stop_early(bench):
    with bench.database.read(SqlQuery(MANY[bench.product].format(n=10_000_000))) as result:
        started = time.monotonic()
        batch = next(result.batches())
    assert batch.num_rows == 256
    assert time.monotonic() - started < 60  # reading on to the end would take minutes


def test_reading_does_not_write(bench):
    bench.run("CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1)")
    with pytest.raises(UserError, match=r"is no query"):
        rows(bench, SqlQuery("DELETE FROM t"))
    if bench.product == "postgresql":
        with pytest.raises(DataError, match=r"DECLARE CURSOR must not contain data-modifying|read-only transaction"):
            rows(bench, SqlQuery("WITH x AS (DELETE FROM t RETURNING a) SELECT * FROM x"))
    assert bench.run("SELECT count(*) FROM t") == [(1,)]


@pytest.mark.parametrize(
    ("relation", "message"),
    [
        (SqlTable("nope"), r"Cannot carry out the query of table 'nope' on datastore 'sales' \(.*://.*\): .*nope"),
        (SqlQuery("SELECT nope FROM t"), r"Cannot carry out the query 'SELECT nope FROM t' on datastore 'sales'.*nope"),
        (SqlQuery("SELECT (a FROM t"), "Cannot carry out the query .*[sS]yntax"),
    ],
)
def test_what_is_not_there_is_named(bench, relation, message):
    bench.run("CREATE TABLE t (a INTEGER)")
    for act in (lambda: rows(bench, relation), lambda: bench.database.describe(relation)):
        with pytest.raises(DataError, match=message) as raised:
            act()
        assert "secret" not in str(raised.value)


def test_columns_need_names_of_their_own(bench):
    with pytest.raises(DataError, match=r"two columns 'a'; rename one with AS|Duplicate column name 'a'"):
        bench.database.describe(SqlQuery("SELECT 1 AS a, 2 AS a"))


def test_a_query_that_takes_too_long_is_ended(bench):
    query = SLOW[bench.product]
    message = r"datastore 'sales' .* gave no rows for the query '.*' within 1 seconds\. Ask for less, or give it more"
    with pytest.raises(DataError, match=message):
        rows(bench, SqlQuery(query), timeout=1)
    if bench.product == "postgresql":
        assert bench.run("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)'") == [(0,)]
    if bench.product == "mysql":
        left = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'"
        assert eventually(lambda: bench.run(left) == [(0,)], 30)  # sooner than it ends by itself


@pytest.mark.parametrize(
    "bench",
    [pytest.param("postgresql", marks=pytest.mark.postgres), pytest.param("mysql", marks=pytest.mark.mariadb)],
    indirect=True,
)
def test_a_slow_reader_has_all_the_time(bench):
    with bench.database.read(SqlQuery(MANY[bench.product].format(n=300_000)), timeout=4) as result:
        count = 0
        for number, batch in enumerate(result.batches()):
            count += batch.num_rows
            if number == 1:
                time.sleep(5)
    assert count == 300_000


@pytest.mark.postgres
def test_postgresql_types_are_kept(postgresql_bench):
    postgresql_bench.run("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    table = rows(
        postgresql_bench,
        SqlQuery(
            "SELECT true AS flag, 1::smallint AS small, 2 AS usual, 9007199254740993 AS big, 1.5::real AS real, "
            "0.1::float8 AS float, 12.50::numeric(10,2) AS decimal, 1::numeric / 3 AS free, 'x'::text AS text, "
            "'y'::char(3) AS padded, '\\x00ff'::bytea AS bytes, date '2020-01-31' AS day, "
            "timestamp '2020-01-31 01:02:03.000004' AS moment, "
            "timestamptz '2020-01-31 01:02:03+02' AS zoned, time '01:02:03' AS clock, interval '1 month' AS span, "
            "'{\"a\": 1}'::jsonb AS json, ARRAY[1,2] AS list, 'ok'::mood AS mood, "
            "'12345678-1234-5678-1234-567812345678'::uuid AS uuid, NULL AS nothing"
        ),
    )
    assert {f.name: str(f.type) for f in table.schema} == {
        "flag": "bool", "small": "int16", "usual": "int32", "big": "int64", "real": "float", "float": "double",
        "decimal": "decimal128(10, 2)", "free": "decimal256(76, 38)", "text": "string", "padded": "string",
        "bytes": "binary", "day": "date32[day]", "moment": "timestamp[us]", "zoned": "timestamp[us, tz=UTC]",
        "clock": "time64[us]", "span": "string", "json": "string", "list": "string", "mood": "string",
        "uuid": "string", "nothing": "string",
    }  # fmt: skip
    (row,) = table.to_pylist()
    assert (row["big"], row["decimal"], row["padded"], row["bytes"]) == (
        2**53 + 1,
        Decimal("12.50"),
        "y  ",
        b"\x00\xff",
    )
    assert (row["day"], row["moment"]) == (date(2020, 1, 31), datetime(2020, 1, 31, 1, 2, 3, 4))
    assert row["zoned"] == datetime(2020, 1, 30, 23, 2, 3, tzinfo=timezone.utc)
    assert (row["clock"], row["span"], row["list"]) == (time_of_day(1, 2, 3), "1 mon", "{1,2}")
    assert (row["json"], row["nothing"], row["free"]) == ('{"a": 1}', None, Decimal("0.33333333333333333333"))


@pytest.mark.postgres
@pytest.mark.parametrize("value", ["'infinity'::timestamp", "'NaN'::numeric", "date '0044-03-15 BC'"])
def test_what_no_arrow_type_holds_is_an_error_and_no_other_value(postgresql_bench, value):
    with pytest.raises(DataError, match=r"Column 'a' holds what .* cannot hold .* Cast it in the query, for instance"):
        rows(postgresql_bench, SqlQuery(f"SELECT {value} AS a"))
    assert len(rows(postgresql_bench, SqlQuery(f"SELECT ({value})::text AS a"))) == 1


@pytest.mark.mariadb
def test_mysql_types_are_kept(mysql_bench):
    mysql_bench.run(
        "CREATE TABLE t (tiny TINYINT, small SMALLINT UNSIGNED, usual INT, big BIGINT, huge BIGINT UNSIGNED, "
        "single FLOAT, dbl DOUBLE, exact DECIMAL(10,2), whole DECIMAL(20), text VARCHAR(9), long_text TEXT, "
        "bytes BLOB, few VARBINARY(4), day DATE, moment DATETIME(6), zoned TIMESTAMP NULL, clock TIME, yr YEAR, "
        "js JSON, pick ENUM('a','b'))",
        "SET time_zone = '+02:00'",
        "INSERT INTO t VALUES (-1, 65535, 2, 9007199254740993, 18446744073709551615, 1.5, 0.1, 12.50, 7, 'ü', 'long', "
        "x'00ff', x'01', '2020-01-31', '2020-01-31 01:02:03.000004', '2020-01-31 01:02:03', '-100:00:01', 2020, "
        "'{\"a\": 1}', 'b')",
    )
    table = rows(mysql_bench, SqlTable("t"))
    assert {f.name: str(f.type) for f in table.schema} == {
        "tiny": "int8", "small": "uint16", "usual": "int32", "big": "int64", "huge": "uint64", "single": "float",
        "dbl": "double", "exact": "decimal128(10, 2)", "whole": "decimal128(20, 0)", "text": "string",
        "long_text": "string", "bytes": "binary", "few": "binary", "day": "date32[day]", "moment": "timestamp[us]",
        "zoned": "timestamp[us, tz=UTC]", "clock": "string", "yr": "uint16", "js": "string", "pick": "string",
    }  # fmt: skip
    (row,) = table.to_pylist()
    assert (row["big"], row["huge"], row["exact"]) == (2**53 + 1, 2**64 - 1, Decimal("12.50"))
    assert (row["text"], row["bytes"], row["clock"], row["pick"]) == ("ü", b"\x00\xff", "-100:00:01", "b")
    assert row["moment"] == datetime(2020, 1, 31, 1, 2, 3, 4)
    assert row["zoned"] == datetime(2020, 1, 30, 23, 2, 3, tzinfo=timezone.utc)
    assert mysql_bench.database.describe(SqlTable("t")) == table.schema
    assert mysql_bench.database.describe(SqlQuery("SELECT *, NULL AS n, '' AS e FROM t")).names[-2:] == ["n", "e"]


@pytest.mark.postgres
def test_a_function_of_postgresql_is_called_with_its_parameters(postgresql_bench):
    postgresql_bench.run(
        "CREATE FUNCTION rows_of(low int, word text) RETURNS TABLE (a int, b text) LANGUAGE sql "
        "AS 'SELECT low + 1, word UNION ALL SELECT low + 2, word'"
    )
    arguments = (SqlArgument("word", "it's"), SqlArgument("@low", "3", ParameterType.INT))
    found = rows(postgresql_bench, SqlProcedure("rows_of", arguments)).to_pylist()
    assert found == [{"a": 4, "b": "it's"}, {"a": 5, "b": "it's"}]


@pytest.mark.mariadb
def test_a_procedure_of_mysql_is_called_with_its_parameters(mysql_bench):
    mysql_bench.run("CREATE PROCEDURE some(low INT, word TEXT) SELECT low + 1 AS a, word AS b")
    arguments = (SqlArgument("low", "3", ParameterType.INT), SqlArgument("word", "it's"))
    assert rows(mysql_bench, SqlProcedure("some", arguments)).to_pylist() == [{"a": 4, "b": "it's"}]
    mysql_bench.run("CREATE PROCEDURE silent() SET @a = 1")
    with pytest.raises(
        DataError, match=r"Cannot carry out the procedure 'silent' on datastore 'sales' .*gives no rows"
    ):
        rows(mysql_bench, SqlProcedure("silent"))


def test_a_procedure_of_sqlite_is_refused(sqlite_bench):
    with pytest.raises(UserError, match=r"SQLite has no stored procedures, so that 'p' cannot be called"):
        rows(sqlite_bench, SqlProcedure("p"))


@pytest.mark.postgres
def test_a_wrong_password_of_postgresql_is_not_shown(postgresql_bench, monkeypatch):
    postgresql_bench.run(
        "DO $$ BEGIN CREATE ROLE locked LOGIN PASSWORD 'right'; EXCEPTION WHEN duplicate_object THEN END $$"
    )
    url = postgresql_bench.database.location.address.replace("postgres@", "")
    monkeypatch.setenv("AIRFLOW_CONN_PG", "postgres://locked:wrong-secret@/")
    message = r"Cannot connect to datastore 'sales' \(.*\): .*password authentication failed.*the connection 'pg'"
    with pytest.raises(DataError, match=message) as raised:
        Database(location(url, "pg")).describe(SqlQuery("SELECT 1"))
    assert "wrong-secret" not in str(raised.value)
    assert raised.value.__cause__ is None
    monkeypatch.setenv("AIRFLOW_CONN_PG", "postgres://locked:right@/")
    assert Database(location(url, "pg")).describe(SqlQuery("SELECT 1 AS a")).names == ["a"]


@pytest.mark.postgres
def test_without_a_connection_the_drivers_own_means_count(postgresql_bench, monkeypatch, tmp_path):
    postgresql_bench.run(
        "DO $$ BEGIN CREATE ROLE locked LOGIN PASSWORD 'right'; EXCEPTION WHEN duplicate_object THEN END $$"
    )
    (tmp_path / "pgpass").write_text("*:*:*:locked:right")
    (tmp_path / "pgpass").chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    url = postgresql_bench.database.location.address.replace("postgres@", "locked@")
    assert Database(location(url)).describe(SqlQuery("SELECT 1 AS a")).names == ["a"]


@pytest.mark.mariadb
def test_a_wrong_password_of_mysql_is_not_shown(mysql_bench, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MARIA", "mysql://refrain:wrong-secret@/")
    with pytest.raises(DataError, match=r"Cannot connect to .*Access denied for user 'refrain'") as raised:
        mysql_bench.database.describe(SqlQuery("SELECT 1"))
    assert "wrong-secret" not in str(raised.value)


@pytest.mark.parametrize("product", ["postgresql", "mysql", "mssql"])
def test_an_unreachable_server_is_named(product, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MINE", json.dumps({"conn_type": "x", "login": "me", "password": "top-secret"}))
    database = Database(location(f"{product}://127.0.0.1:1/db", "mine"))
    with pytest.raises(
        DataError, match=rf"datastore 'sales' \({product}://127.0.0.1:1/db\): .*(refused|Unable)"
    ) as raised:
        database.describe(SqlQuery("SELECT 1"))
    assert "top-secret" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"Cannot connect to datastore 'sales' .*unable to open database file"):
        Database(location(f"sqlite:///{tmp_path}/no.db")).describe(SqlQuery("SELECT 1"))
    assert not (tmp_path / "no.db").exists()


@pytest.mark.parametrize(
    ("product", "driver"), [("postgresql", "psycopg2"), ("mysql", "pymysql"), ("mssql", "pymssql")]
)
def test_a_missing_driver_names_the_extra(product, driver, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, driver, None)
    with pytest.raises(UserError, match=rf"{product}:// needs another package: pip install 'refrain\[{product}\]'"):
        Database(location(f"{product}://host/db")).describe(SqlQuery("SELECT 1"))


@pytest.mark.parametrize("bench", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_a_connection_that_is_killed_in_the_middle_is_an_error_of_ours(bench):
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'refrain'"
    with bench.database.read(SqlQuery(MANY["postgresql"].format(n=1_000_000))) as result:
        batches = result.batches()
        next(batches)
        bench.run(kill)
        with pytest.raises(DataError, match=r"Cannot carry out the query .* on datastore 'sales' .*terminat"):
            list(batches)


@pytest.mark.mariadb
def test_a_connection_to_mysql_that_is_killed_in_the_middle_is_an_error_of_ours(mysql_bench):
    find = "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT seq%' AND id != CONNECTION_ID()"
    with mysql_bench.database.read(SqlQuery(MANY["mysql"].format(n=20_000_000))) as result:
        batches = result.batches()
        next(batches)
        ((number,),) = mysql_bench.run(find)
        mysql_bench.run(f"KILL {number}")
        with pytest.raises(DataError, match=r"Cannot carry out the query .* on datastore 'sales'"):
            list(batches)


@pytest.mark.postgres
def test_many_threads_may_read_at_once(postgresql_bench):
    found: list[int] = []

    def read() -> None:
        found.append(len(rows(postgresql_bench, SqlQuery(MANY["postgresql"].format(n=1000)))))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1000] * 4
