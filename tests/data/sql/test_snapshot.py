"""Snapshots of a query's rows."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from refrain import Dataset
from refrain.data.sql.snapshot import Query, query_of
from refrain.errors import DataError
from refrain.storage.sql.relation import SqlQuery


@pytest.fixture
def snapshot(shop, tmp_path):
    def take(text="SELECT * FROM sold", change=lambda dataset: dataset):
        dataset = change(Dataset.Tabular.from_sql_query((shop, text)))
        return query_of(dataset, "sqlite").answer(shop.database, tmp_path / "rows.parquet")

    return take


def test_the_rows_are_written_as_they_are(snapshot, tmp_path):
    made = snapshot("SELECT item, count FROM sold ORDER BY day")
    assert (made.rows, made.bytes) == (4, (tmp_path / "rows.parquet").stat().st_size)
    assert pq.read_table(tmp_path / "rows.parquet").to_pydict() == {
        "item": ["pen", "ink", "pen", "cup"],
        "count": [3, None, 1, 2],
    }


def test_rows_in_another_order_are_the_same_unless_the_query_promises_one(snapshot, sql):
    before = snapshot().digest, snapshot("SELECT * FROM sold ORDER BY price").digest
    sql("CREATE TABLE copy AS SELECT * FROM sold ORDER BY item", "DELETE FROM sold")
    sql("INSERT INTO sold SELECT * FROM copy")
    assert (snapshot().digest, snapshot("SELECT * FROM sold ORDER BY price").digest) == before
    assert snapshot("SELECT item FROM sold ORDER BY day").digest != snapshot("SELECT item FROM sold ORDER BY 1").digest


@pytest.mark.parametrize("change", [lambda d: d.take(2), lambda d: d.skip(1), lambda d: d.take_sample(0.5, seed=1)])
def test_the_order_counts_where_rows_are_taken_by_their_number(snapshot, sql, change):
    before = snapshot(change=change).digest
    sql("CREATE TABLE copy AS SELECT * FROM sold ORDER BY item", "DELETE FROM sold")
    sql("INSERT INTO sold SELECT * FROM copy")
    assert snapshot(change=change).digest != before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sold SET price = price + 1 WHERE item = 'ink'",
        "DELETE FROM sold WHERE item = 'ink'",
        "INSERT INTO sold SELECT * FROM sold LIMIT 1",
        "UPDATE sold SET count = 0 WHERE count IS NULL",
    ],
)
def test_rows_that_changed_are_others(snapshot, sql, statement):
    before = snapshot().digest
    sql(statement)
    assert snapshot().digest != before


def test_a_failed_query_leaves_no_file(snapshot, sql, tmp_path):
    sql(
        "CREATE TABLE late AS "
        "WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n LIMIT 5000) SELECT * FROM n"
    )
    sql("UPDATE late SET a = 'x' WHERE a = 4999")
    with pytest.raises(DataError, match="Column 'a' holds what int64 cannot hold"):
        snapshot("SELECT * FROM late")
    assert not (tmp_path / "rows.parquet").exists()


def test_a_file_that_cannot_be_written_is_named(shop, tmp_path):
    with pytest.raises(DataError, match=r"The rows cannot be written to '.*no/rows.parquet'"):
        Query(SqlQuery("SELECT 1 AS a"), 30, is_ordered=False).answer(shop.database, tmp_path / "no/rows.parquet")
