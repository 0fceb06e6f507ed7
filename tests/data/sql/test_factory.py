"""Datasets of a query's rows."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace

import pytest

from refrain import Dataset, Datastore, DataType
from refrain.data.sql.factory import rows_of
from refrain.data.tabular.access import StoreAccess
from refrain.data.tabular.dataset import TabularDataset
from refrain.data.tabular.source import Sql
from refrain.errors import DataError, UserError
from refrain.storage.sql.relation import ParameterType, SqlArgument, SqlProcedure, SqlQuery, SqlTable

DAYS = {"day": DataType.to_datetime("%Y-%m-%d")}


def query(shop, text="SELECT * FROM sold ORDER BY day", **options):
    return Dataset.Tabular.from_sql_query((shop, text), **options)


def column(dataset, name):
    return dataset.to_arrow().column(name).to_pylist()


def test_rows_are_read_when_they_are_asked_for(shop, sql):
    dataset = query(shop)
    sql("DELETE FROM sold WHERE item = 'pen'")
    assert column(dataset, "item") == ["ink", "cup"]


def test_every_operation_works_on_it(shop):
    dataset = query(shop)
    assert column(dataset.take(2), "item") == ["pen", "ink"]
    assert column(dataset.skip(3), "item") == ["cup"]
    assert column(dataset.filter((dataset["price"] > 1.7) & (dataset["item"] == "pen")), "day") == ["2020-02-01"]
    assert dataset.keep_columns(["count", "item"]).to_arrow().column_names == ["count", "item"]
    assert dataset.drop_columns("count").schema.names == ["day", "item", "price"]
    one, other = dataset.random_split(0.5, seed=1)
    assert sorted(column(one, "day") + column(other, "day")) == column(dataset, "day")
    assert dataset.keep_columns("day").take_sample(1.0, seed=1).to_arrow().num_rows == 4


def test_times_work_on_it(shop):
    dataset = query(shop, set_column_types=DAYS).with_timestamp_columns("day", validate=True)
    between = dataset.time_between(datetime(2020, 1, 2), datetime(2020, 2, 1))
    assert between.to_pandas_dataframe().index.tolist() == [datetime(2020, 1, 2), datetime(2020, 2, 1)]


def test_it_becomes_files(shop, tmp_path):
    (path,) = query(shop, "SELECT item, count FROM sold ORDER BY day").to_csv_files().download(str(tmp_path / "csv"))
    with open(path) as file:
        assert file.read() == '"item","count"\n"pen",3\n"ink",\n"pen",1\n"cup",2\n'


def test_types_can_be_chosen(shop, caplog):
    dataset = query(shop, set_column_types={"count": DataType.to_float(), "day": DataType.to_long()})
    assert column(dataset, "count") == [3.0, None, 1.0, 2.0]
    assert column(dataset, "day") == [None] * 4
    assert "4 values of column 'day' do not fit its type and are empty now; one: 'query on shop', row 1" in caplog.text
    with pytest.raises(DataError, match="'query on shop', row 1, column 'day': '2020-01-01' is no long"):
        dataset.to_pandas_dataframe(on_error="fail")


def test_the_definition_comes_back_from_json(shop):
    dataset = query(shop, query_timeout=7, set_column_types=DAYS).take(1)
    again = TabularDataset.from_json(dataset.to_json(), StoreAccess(shop.state.stores))
    assert again.to_json() == dataset.to_json()
    assert again.to_arrow() == dataset.to_arrow()
    assert dataset.to_json()["source"]["options"] == {"query": "SELECT * FROM sold ORDER BY day", "timeout": 7}


def test_it_can_be_registered(workspace, shop):
    dataset = query(shop).take(1)
    assert dataset.register(workspace, "first").version == 1
    assert Dataset.get_by_name(workspace, "first").to_arrow() == dataset.to_arrow()


def test_a_data_path_can_hold_the_query(shop):
    path = SimpleNamespace(datastore=shop, path_on_datastore="SELECT item FROM sold")
    assert Dataset.Tabular.from_sql_query(path).schema.names == ["item"]


def test_a_wrong_query_is_found_at_once_unless_it_is_not_validated(shop):
    with pytest.raises(
        DataError, match=r"the query 'SELECT nope FROM sold' on datastore 'shop' .*no such column: nope"
    ):
        query(shop, "SELECT nope FROM sold")
    with pytest.raises(DataError, match="no such column: nope"):
        query(shop, "SELECT nope FROM sold", validate=False).to_arrow()
    with pytest.raises(UserError, match="'DELETE FROM sold' is no query: it begins with none of SELECT, WITH"):
        query(shop, "DELETE FROM sold", validate=False)


def test_a_missing_column_is_named(shop):
    with pytest.raises(DataError, match=r"no column 'cuont'\. Columns: day, item, price, count\. Did you mean 'count'"):
        query(shop).keep_columns("cuont", validate=True)


def test_columns_that_cannot_be_told_apart_are_refused(shop):
    with pytest.raises(DataError, match="two columns 'item'; rename one with AS"):
        query(shop, "SELECT item, item FROM sold")


@pytest.mark.parametrize("given", ["SELECT 1", ("shop", "SELECT 1"), None, ()])
def test_what_is_no_query_of_a_datastore_is_refused(given):
    with pytest.raises(UserError, match=r"from_sql_query cannot read .*: give \(datastore, 'SELECT …'\)"):
        Dataset.Tabular.from_sql_query(given)


def test_a_datastore_of_files_is_refused(workspace):
    with pytest.raises(UserError, match="with a datastore that is a database"):
        Dataset.Tabular.from_sql_query((Datastore(workspace), "SELECT 1"))


@pytest.mark.parametrize("timeout", [-1, 1.5, None, True])
def test_a_timeout_is_a_number_of_seconds(shop, timeout):
    with pytest.raises(UserError, match=r"query_timeout .* is no number of seconds; 0 means any time"):
        query(shop, query_timeout=timeout)


def test_a_value_of_another_type_than_the_first_rows_is_named(shop, sql):
    sql("CREATE TABLE mixed (a)", "INSERT INTO mixed VALUES (1)", "INSERT INTO mixed VALUES ('x')")
    with pytest.raises(DataError, match="Column 'a' holds what string cannot hold"):
        query(shop, "SELECT * FROM mixed").to_arrow()


@pytest.mark.parametrize(
    ("relation", "options"),
    [
        (SqlQuery("SELECT 1 AS a"), {"query": "SELECT 1 AS a", "timeout": 5}),
        (SqlTable("shop.sold"), {"table": "shop.sold", "timeout": 5}),
        (
            SqlProcedure("report", (SqlArgument("least", "2", ParameterType.INT), SqlArgument("item", None))),
            {"procedure": "report", "arguments": [["least", "2", "Int"], ["item", None, "String"]], "timeout": 5},
        ),
    ],
)
def test_what_is_asked_survives_json(shop, relation, options):
    """A change here makes every step run once more that reads a database."""
    stored = rows_of(shop, relation, timeout=5).to_json()
    assert stored["source"]["options"] == options
    assert TabularDataset.from_json(stored).source.format == Sql(relation, 5)
