"""The URIs by which a job on Databricks reads and writes data."""

from __future__ import annotations

from pathlib import Path

import pytest

from refrain.compute.databricks.settings import DatabricksSettings
from refrain.errors import UserError
from refrain.execution.databricks.address import address, companions
from refrain.storage.state import WorkspaceState


@pytest.fixture
def state(tmp_path: Path) -> WorkspaceState:
    return WorkspaceState(tmp_path / "workspace")


@pytest.mark.parametrize(
    ("url", "options", "uri"),
    [
        ("abfs://raw", {"account_name": "lake"}, "abfss://raw@lake.dfs.core.windows.net/2024/a"),
        ("abfs://raw@lake.dfs.core.windows.net", {}, "abfss://raw@lake.dfs.core.windows.net/2024/a"),
        ("s3://bucket/base", {}, "s3://bucket/base/2024/a"),
        ("dbfs://mnt", {}, "dbfs:/mnt/2024/a"),
    ],
)
def test_a_place_on_a_datastore_is_named_as_databricks_names_it(state, url, options, uri):
    state.datastores.register_url("data", url, options=options)
    place = state.stores.on("data", "2024/a")
    assert address(place, "Step 'a', input 'b'", DatabricksSettings(), state) == uri


def test_the_account_of_a_container_may_be_that_of_its_connection(state, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", '{"conn_type": "wasb", "login": "account", "password": "key"}')
    state.datastores.register_url("data", "abfs://raw", "lake")
    uri = address(state.stores.on("data", "a"), "it", DatabricksSettings(), state)
    assert uri == "abfss://raw@account.dfs.core.windows.net/a"


def test_what_databricks_cannot_reach_is_refused(state):
    state.datastores.register_url("web", "https://example.org/data")
    with pytest.raises(UserError, match=r"Step 'a', input 'b': Databricks cannot read https://example.org/data/x\."):
        address(state.stores.on("web", "x"), "Step 'a', input 'b'", DatabricksSettings(), state)
    state.datastores.register_url("bare", "abfs://raw")
    with pytest.raises(UserError, match="names no storage account; give its datastore account_name"):
        address(state.stores.on("bare", "x"), "it", DatabricksSettings(), state)


def test_a_container_comes_with_what_a_notebook_mounts_it_by():
    settings = DatabricksSettings(blob_secrets={"lake": "key-of-the-lake"})
    assert companions("raw", "abfss://raw@lake.dfs.core.windows.net/a", settings) == {
        "raw_blob_config": "fs.azure.account.key.lake.blob.core.windows.net",
        "raw_blob_secretname": "key-of-the-lake",
    }
    assert companions("raw", "s3://bucket/a", settings) == {}
