"""From a query, a table or a stored procedure to a tabular dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refrain.data.sql.datastore import SqlDatastore
from refrain.data.tabular.access import Place, StoreAccess
from refrain.data.tabular.dataset import TabularDataset
from refrain.data.tabular.source import Source, Sql
from refrain.data.tabular.types import ColumnTypes, DataType, column_types
from refrain.errors import UserError
from refrain.storage.sql.relation import Relation, SqlQuery
from refrain.storage.sql.statement import only_query

WHAT = "Dataset.Tabular.from_sql_query"


def from_sql_query(
    query: Any, validate: bool, set_column_types: Mapping[str, DataType] | None, query_timeout: int
) -> TabularDataset:
    """Return the dataset; see :meth:`refrain.data.tabular.factory.TabularDatasetFactory.from_sql_query`."""
    datastore, text = _parts(query)
    if isinstance(query_timeout, bool) or not isinstance(query_timeout, int) or query_timeout < 0:
        raise UserError(f"{WHAT}: query_timeout {query_timeout!r} is no number of seconds; 0 means any time.")
    kinds = column_types(set_column_types, WHAT)
    dataset = rows_of(datastore, SqlQuery(text), query_timeout, kinds)
    if validate:
        _ = dataset.schema
    return dataset


def rows_of(datastore: SqlDatastore, relation: Relation, timeout: int, kinds: ColumnTypes = ()) -> TabularDataset:
    """Return the dataset of a relation's rows; nothing is asked yet.

    :raises UserError: for a query that is none.
    """
    if isinstance(relation, SqlQuery):
        only_query(relation.text, datastore.database.location.database.product)
    source = Source((Place(datastore.name, ""),), Sql(relation, timeout), kinds)
    return TabularDataset(source, access=StoreAccess(datastore.state.stores))


def _parts(query: Any) -> tuple[SqlDatastore, str]:
    """Take ``(datastore, query)`` apart, or a DataPath, whose path is the query."""
    given = query if isinstance(query, tuple) else (_of(query, "datastore"), _of(query, "path_on_datastore"))
    datastore, text = given if len(given) == 2 else (None, None)
    if not isinstance(datastore, SqlDatastore) or not isinstance(text, str):
        raise UserError(
            f"{WHAT} cannot read {query!r}: give (datastore, 'SELECT …') with a datastore that is a database, see "
            "Datastore.register_sql."
        )
    return datastore, text


def _of(query: Any, name: str) -> Any:
    return getattr(query, name, getattr(query, f"_{name}", None))
