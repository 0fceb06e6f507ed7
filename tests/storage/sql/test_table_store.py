"""Tables as places."""

from __future__ import annotations

import pytest

from refrain.errors import DataError, DataNotFoundError, UntrustedReferenceError
from refrain.storage.manifest import TreeKind
from refrain.storage.sql.relation import SqlTable
from refrain.storage.sql.table_store import TableStore, table_of, table_uri


@pytest.fixture
def store(bench):
    bench.run("CREATE TABLE t (a INTEGER, b VARCHAR(20))", "INSERT INTO t VALUES (1, 'x'), (2, NULL)")
    return TableStore(lambda datastore: {"sales": bench.database}[datastore])


@pytest.mark.parametrize("name", ["sold", "shop.sold", "a/b c%", 'o"d'])
def test_a_uri_leads_back_to_its_table(name):
    uri = table_uri("sales", SqlTable(name))
    assert table_of(uri) == ("sales", SqlTable(name))
    assert uri.startswith("database://sales/")
    assert uri.count("/") == 3


@pytest.mark.parametrize("uri", ["database://sales", "database://sales/"])
def test_a_uri_without_a_table_is_refused(uri):
    with pytest.raises(UntrustedReferenceError, match=f"'{uri}' names no table of a database"):
        table_of(uri)


def test_a_table_is_what_its_rows_are_in_any_order(store, bench):
    before = store.identify("database://sales/t")
    assert (before.kind, before.files) == (TreeKind.FILE, 1)
    assert store.manifest("database://sales/t").digest == before.digest
    bench.run("DELETE FROM t", "INSERT INTO t VALUES (2, NULL), (1, 'x')")
    assert store.identify("database://sales/t") == before
    bench.run("UPDATE t SET b = '' WHERE a = 2")
    assert store.identify("database://sales/t").digest != before.digest


def test_a_table_that_is_not_there_is_missing(store):
    assert store.exists("database://sales/t")
    assert not store.exists("database://sales/other")
    with pytest.raises(DataNotFoundError, match=r"There is no table 'other' in datastore 'sales'"):
        store.identify("database://sales/other")


def test_a_table_has_no_files(store):
    for act in (store.listing, store.sizes, store.open, store.remove):
        with pytest.raises(DataError, match=r"A table of a database has no files\. Read its rows with"):
            act("database://sales/t")
