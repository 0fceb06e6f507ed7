"""Rows out of real databases."""

import pyarrow as pa

from refrain.storage.sql.relation import SqlQuery, SqlTable


def rows(bench, relation, **options):
    with bench.database.read(relation, **options) as result:
        return pa.Table.from_batches(list(result.batches()), result.schema)


def test_a_table_is_read(bench):
    bench.run("CREATE TABLE t (a INTEGER, b VARCHAR(10))", "INSERT INTO t VALUES (1, 'x'), (NULL, ''), (3, NULL)")
    table = rows(bench, SqlTable("t"))
    assert table.to_pylist() == [{"a": 1, "b": "x"}, {"a": None, "b": ""}, {"a": 3, "b": None}]


def test_what_a_query_says_in_percent_stays_that(bench):
    assert rows(bench, SqlQuery("SELECT '50%s' AS a; -- that is 100%")).to_pylist() == [{"a": "50%s"}]
