"""SqlDatastore: a database under a name, without anything secret."""

from __future__ import annotations

import json

import pytest

from refrain import Dataset, Datastore, OutputFileDatasetConfig, PipelineData
from refrain.data.sql.datastore import SqlDatastore
from refrain.errors import UserError


@pytest.fixture
def sales(workspace):
    return Datastore.register_sql(workspace, "sales", "postgresql://db.example/sales?sslmode=require", "my_pg")


def test_the_constructor_gives_the_right_kind(workspace, sales):
    assert isinstance(Datastore(workspace, "sales"), SqlDatastore)
    assert Datastore(workspace, "sales") == sales == workspace.datastores["sales"]
    assert not isinstance(Datastore(workspace, "workspaceblobstore"), SqlDatastore)
    assert repr(sales) == "Datastore('sales', 'postgresql://db.example/sales?sslmode=require')"


def test_what_is_stored_is_this(workspace, sales):
    assert workspace.state.registry.get("datastores", "sales") == {
        "schema": 3,
        "database": "postgresql://db.example/sales?sslmode=require",
        "conn_id": "my_pg",
    }


def test_azure_databases_have_azures_addresses(workspace):
    sql = Datastore.register_azure_sql_database(workspace, "sql", "one", "sales", username="me")
    postgresql = Datastore.register_azure_postgre_sql(workspace, "pg", "one", "sales", "me@one", port_number=6432)
    mysql = Datastore.register_azure_my_sql(workspace, "my", "one", "sales", "me", endpoint="mysql.example")
    assert [store.root for store in (sql, postgresql, mysql)] == [
        "mssql://me@one.database.windows.net/sales?encryption=require",
        "postgresql://me%40one@one.postgres.database.azure.com:6432/sales?sslmode=require",
        "mysql://me@one.mysql.example/sales",
    ]
    plain = Datastore.register_azure_postgre_sql(workspace, "h", "db.example", "sales", "me", enforce_ssl=False)
    assert plain.root == "postgresql://me@db.example/sales"


@pytest.mark.parametrize(
    ("method", "arguments", "secret"),
    [
        ("register_azure_sql_database", {}, "password"),
        ("register_azure_sql_database", {}, "client_secret"),
        ("register_azure_postgre_sql", {"user_id": "me"}, "user_password"),
        ("register_azure_my_sql", {"user_id": "me"}, "user_password"),
    ],
)
def test_a_password_is_refused_with_the_way_out(workspace, method, arguments, secret):
    with pytest.raises(UserError, match=f"{secret} would be stored with the workspace. Make an Airflow conn") as raised:
        getattr(Datastore, method)(workspace, "sales", "one", "db", **arguments, **{secret: "top-secret"})
    assert "top-secret" not in str(raised.value)
    assert "sales" not in workspace.state.datastores.names()


def test_a_service_principal_is_refused(workspace):
    with pytest.raises(UserError, match="name a service principal, with which pymssql cannot sign in"):
        Datastore.register_azure_sql_database(workspace, "sales", "one", "db", tenant_id="t", client_id="c")


def test_a_database_has_no_files(workspace, sales, tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    refused = "Datastore 'sales' is a database and has no"
    with pytest.raises(UserError, match=f"{refused} files or paths"):
        sales.upload_files([str(tmp_path / "a.csv")])
    with pytest.raises(UserError, match=f"{refused} files or paths"):
        sales.download(str(tmp_path))
    with pytest.raises(UserError, match=f"{refused} path 'a/b'. Name a table or a query"):
        sales.path("a/b")
    with pytest.raises(UserError, match=f"{refused} files or paths"):
        sales.set_as_default()
    with pytest.raises(UserError, match=f"{refused} files or paths"):
        Dataset.Tabular.from_delimited_files((sales, "a.csv"))


@pytest.mark.parametrize(
    "make",
    [
        lambda store: PipelineData("out", store),
        lambda store: OutputFileDatasetConfig(destination=(store, "out")),
    ],
)
def test_a_database_takes_no_outputs(sales, make):
    with pytest.raises(UserError, match="needs a datastore that keeps files, and 'sales' is a database"):
        make(sales)


def test_a_datastore_of_files_is_no_database(workspace):
    with pytest.raises(UserError, match=r"'workspaceblobstore' at .* keeps files and is no database\. Register one"):
        workspace.state.stores.database("workspaceblobstore")


def test_a_name_is_not_given_anew_by_accident(workspace, sales):
    with pytest.raises(UserError, match=r"Datastore 'sales' is postgresql://db.example/sales\?sslmode=require already"):
        Datastore.register_azure_my_sql(workspace, "sales", "one", "db", "me")
    assert Datastore.register_azure_my_sql(workspace, "sales", "one", "db", "me", overwrite=True).root.startswith("my")
    with pytest.raises(UserError, match="Datastore 'sales' is a database"):
        Datastore.register_s3_bucket(workspace, "sales", "bucket")


def test_data_elsewhere_is_found_beside_a_database(workspace, sales):
    Datastore.register(workspace, "far", "memory://far")
    place = workspace.state.stores.at("memory://far/a")
    assert workspace.state.stores.datastore_of(place) == ("far", "a")


def test_no_record_holds_what_a_connection_knows(workspace, sales, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MY_PG", "postgres://me:top-secret@db.example/")
    _ = sales.database
    stored = workspace.state.registry.get("datastores", "sales")
    assert "top-secret" not in json.dumps(stored) + repr(sales) + repr(sales.database)
