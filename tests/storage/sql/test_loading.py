"""Rows into tables of real databases: all of them, or none."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from datetime import date, datetime, timezone
from datetime import time as time_of_day
from decimal import Decimal

import pyarrow as pa
import pytest

from refrain.errors import DataError, UserError
from refrain.storage.sql.loading import Loaded, LoadMode
from refrain.storage.sql.relation import SqlQuery, SqlTable

T = SqlTable("t")
TABLE = pa.table({"a": [1, 2, None], "b": ["it's", "", None]})
TYPES = pa.table(
    {
        "flag": [True, None],
        "small": pa.array([-1, None], pa.int16()),
        "big": pa.array([2**62, None], pa.int64()),
        "huge": pa.array([2**64 - 1, None], pa.uint64()),
        "float": [0.1, None],
        "decimal": pa.array([Decimal("12.50"), None], pa.decimal128(10, 2)),
        "text": ["\"quoted\", ü \\N \n; '%s'", None],
        "empty": ["", None],
        "bytes": [b"\x00\xff'", None],
        "day": pa.array([date(2020, 1, 31), None]),
        "moment": pa.array([datetime(2020, 1, 31, 1, 2, 3, 4), None]),
        "zoned": pa.array([datetime(2020, 1, 31, 1, 2, 3, tzinfo=timezone.utc), None], pa.timestamp("us", "UTC")),
        "clock": pa.array([time_of_day(1, 2, 3), None]),
        "category": pa.array(["x", None]).dictionary_encode(),
        "long": pa.array(["x", None], pa.large_string()),
        "nothing": pa.nulls(2),
    }
)


def load(bench, table=TABLE, into=T, mode=LoadMode.APPEND, **options):
    return bench.database.load(into, table.schema, table.to_batches(), mode, **options)


def rows(bench, query="SELECT * FROM t"):
    with bench.database.read(SqlQuery(query)) as result:
        return pa.Table.from_batches(list(result.batches()), result.schema)


def tables(bench):
    query = {
        "sqlite": "SELECT name FROM sqlite_master",
        "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
        "mysql": "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
    }
    return sorted(name for (name,) in bench.run(query[bench.product]))


def test_a_missing_table_is_made(bench):
    assert load(bench).rows == 3
    assert rows(bench).to_pylist() == TABLE.to_pylist()
    assert tables(bench) == ["t"]


def test_rows_are_added_or_take_the_place_of_others(bench):
    load(bench)
    load(bench, TABLE.slice(0, 1))
    assert len(rows(bench)) == 4
    load(bench, TABLE.slice(1, 1), mode=LoadMode.REPLACE)
    assert rows(bench).to_pylist() == [{"a": 2, "b": ""}]


def test_every_type_comes_back(bench):
    load(bench, TYPES)
    table = rows(bench)
    assert table.column_names == TYPES.column_names
    read, given = table.to_pylist(), TYPES.to_pylist()
    assert read[1] == dict.fromkeys(TYPES.column_names)
    texts = {"sqlite": {"decimal", "huge", "day", "moment", "zoned", "clock"}, "mysql": {"clock"}}
    for name, value in given[0].items():
        expected = value.replace(tzinfo=None) if name == "zoned" and bench.product == "mysql" else value
        assert read[0][name] == expected or (name in texts.get(bench.product, ()) and str(read[0][name])), name
    assert read[0]["clock"] == time_of_day(1, 2, 3) or str(read[0]["clock"]).startswith("01:02:03")


def test_a_table_that_is_there_keeps_its_definition(bench):
    bench.run("CREATE TABLE t (id INTEGER DEFAULT 7, b VARCHAR(20), a INTEGER NOT NULL)")
    load(bench, TABLE.slice(0, 2), mode=LoadMode.REPLACE)
    assert sorted(bench.run("SELECT id, a, b FROM t")) == [(7, 1, "it's"), (7, 2, "")]
    with pytest.raises(DataError, match=r"Cannot carry out the load of table 't' on datastore 'sales' .*(null|NULL)"):
        load(bench, mode=LoadMode.REPLACE)
    assert len(bench.run("SELECT a FROM t")) == 2


def test_a_column_that_is_not_there_is_named(bench):
    bench.run("CREATE TABLE t (a INTEGER, bb VARCHAR(20))", "INSERT INTO t VALUES (1, 'x')")
    message = r"Table 't' has no column 'b'\. Columns: a, bb\. Did you mean 'bb'\? Rename the column, or load another"
    for mode in LoadMode:
        with pytest.raises(UserError, match=message):
            load(bench, mode=mode)
    assert bench.run("SELECT * FROM t") == [(1, "x")]


def test_names_are_quoted_and_values_are_bound(bench):
    table = pa.table({'a "b` %s': ["'); DROP TABLE t; --"]})
    load(bench)
    load(bench, table, SqlTable('o"d`d %s'))
    assert sorted(tables(bench)) == sorted(["t", 'o"d`d %s'])
    with bench.database.read(SqlTable('o"d`d %s')) as result:
        assert [batch.to_pylist() for batch in result.batches()] == [table.to_pylist()]


def test_a_schema_may_stand_before_the_name(bench):
    schema = {"sqlite": "main", "postgresql": "other", "mysql": bench.database.location.database.database}
    if bench.product == "postgresql":
        bench.run("CREATE SCHEMA other")
    table = SqlTable(f"{schema[bench.product]}.t")
    load(bench, into=table)
    load(bench, into=table, mode=LoadMode.REPLACE)
    with bench.database.read(table) as result:
        assert sum(batch.num_rows for batch in result.batches()) == 3


@pytest.mark.parametrize("name", ["", "a.b.c", ".t", "t."])
def test_what_names_no_table_is_refused(name):
    with pytest.raises(UserError, match=r"names no table; write 'table' or 'schema.table'"):
        SqlTable(name)


def test_a_type_that_the_database_has_not_is_named(bench):
    table = pa.table({"a": [[1, 2]]})
    with pytest.raises(UserError, match=r"Table 't' cannot be made: there is no column type for 'a', which is list"):
        load(bench, table)
    assert tables(bench) == []


@pytest.mark.parametrize("mode", list(LoadMode))
@pytest.mark.parametrize("is_there", [True, False])
def test_a_load_that_fails_leaves_what_was_there(bench, mode, is_there):
    if is_there:
        load(bench)

    def batches():
        yield from TABLE.to_batches()
        raise RuntimeError("the source is gone")

    with pytest.raises(RuntimeError, match="the source is gone"):
        bench.database.load(T, TABLE.schema, batches(), mode)
    assert tables(bench) == (["t"] if is_there else [])
    if is_there:
        assert rows(bench).to_pylist() == TABLE.to_pylist()


def test_readers_see_the_old_rows_until_the_end(bench):
    load(bench)
    seen = []

    def batches():
        yield from TABLE.slice(0, 1).to_batches()
        seen.append(bench.run("SELECT count(*) FROM t"))

    bench.database.load(T, TABLE.schema, batches(), LoadMode.REPLACE)
    assert seen == [[(3,)]]
    assert len(rows(bench)) == 1


def test_progress_is_told_and_may_stop_it(bench):
    told = []
    table = pa.table({"a": range(50_000)})
    done = load(bench, table, progress=lambda count, size: told.append(Loaded(count, size)))
    assert told[-1] == done == Loaded(50_000, told[-1].bytes)
    assert [one.rows for one in told] == [20_000, 40_000, 50_000]

    def stop(count, size):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(bench, table, progress=stop)
    assert bench.run("SELECT count(*) FROM t") == [(50_000,)]


KILLED = """
import sys, time
import pyarrow as pa
from refrain.storage.sql.address import DatabaseAddress, DatabaseLocation
from refrain.storage.sql.database import Database
from refrain.storage.sql.loading import LoadMode
from refrain.storage.sql.relation import SqlTable

def batches():
    table = pa.table({"a": range(1000), "b": [str(n) for n in range(1000)]})
    for number in range(1000):
        yield from table.to_batches()
        if number == 20:
            print("loading", flush=True)
        time.sleep(0.01)

conn_id = sys.argv[2] or None
database = Database(DatabaseLocation("sales", DatabaseAddress.parse("sales", sys.argv[1]), conn_id))
database.load(SqlTable("t"), pa.schema([("a", pa.int64()), ("b", pa.string())]), batches(), LoadMode(sys.argv[3]))
"""


@pytest.mark.parametrize("mode", list(LoadMode))
@pytest.mark.parametrize("is_there", [True, False])
def test_a_load_that_is_killed_leaves_what_was_there(bench, mode, is_there):
    if is_there:
        load(bench)
    location = bench.database.location
    command = [sys.executable, "-c", KILLED, location.address, location.conn_id or "", mode.value]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ))
    assert process.stdout is not None
    assert process.stdout.readline() == b"loading\n"
    process.kill()
    process.wait()
    process.stdout.close()
    assert "t" not in tables(bench) or is_there
    if is_there:
        assert rows(bench).to_pylist() == TABLE.to_pylist()
    _until_it_loads(bench, mode)
    assert tables(bench) == ["t"]  # and nothing that the killed one had made
    assert len(rows(bench)) == (6 if is_there and mode is LoadMode.APPEND else 3)


def _until_it_loads(bench, mode):
    """The server needs a moment to see that the connection is gone."""
    for _ in range(120):
        with contextlib.suppress(DataError):
            load(bench, mode=mode)
            return
        time.sleep(0.5)
    raise AssertionError("the lock of the killed load stays")


@pytest.mark.mariadb
def test_a_table_of_mysql_without_transactions_is_refused(mysql_bench):
    mysql_bench.run("CREATE TABLE t (a INTEGER, b TEXT) ENGINE = MyISAM")
    message = "Table 't' is kept by MyISAM, which has no transactions: .* ALTER TABLE `t` ENGINE = InnoDB"
    with pytest.raises(UserError, match=rf"{message}"):
        load(mysql_bench)


@pytest.mark.postgres
def test_rights_and_views_survive_a_replacement(postgresql_bench):
    load(postgresql_bench)
    postgresql_bench.run("CREATE VIEW v AS SELECT a FROM t", "GRANT SELECT ON t TO PUBLIC")
    load(postgresql_bench, TABLE.slice(0, 1), mode=LoadMode.REPLACE)
    assert postgresql_bench.run("SELECT * FROM v") == [(1,)]
    assert postgresql_bench.run("SELECT has_table_privilege('public', 't', 'select')") == [(True,)]
