"""Datastore: a named place, as users hold it."""

import re
from pathlib import Path

import pytest

from refrain.data.datastore import Datastore
from refrain.errors import DataNotFoundError, UnknownNameError, UserError, WorkspaceSchemaError


def test_the_constructor_looks_it_up(workspace, tmp_path):
    assert Datastore(workspace).name == "workspaceblobstore"
    assert Datastore(workspace, "workspacefilestore").root == str(tmp_path / "ws/datastores/workspacefilestore")
    assert Datastore.get(workspace, "workspaceblobstore") == Datastore.get_default(workspace)


def test_a_folder_becomes_a_datastore(workspace, tmp_path):
    store = Datastore.register_folder(workspace, "mine", tmp_path)
    assert (store.name, store.root) == ("mine", str(tmp_path))
    assert workspace.datastores["mine"] == store
    assert len({store, Datastore(workspace, "mine")}) == 1
    assert repr(store) == f"Datastore('mine', '{tmp_path}')"


def test_a_datastore_can_become_the_default(workspace, tmp_path):
    Datastore.register_folder(workspace, "mine", tmp_path).set_as_default()
    assert workspace.get_default_datastore().name == "mine"


def test_an_unknown_one_is_named(workspace):
    with pytest.raises(
        UnknownNameError, match=r"Unknown datastore 'nope'. Known: workspaceblobstore, workspacefilestore"
    ):
        Datastore.get(workspace, "nope")


def test_a_missing_folder_is_refused(workspace, tmp_path):
    with pytest.raises(UserError, match="does not exist; create it first"):
        Datastore.register_folder(workspace, "mine", tmp_path / "nope")


def test_a_url_becomes_a_datastore(workspace):
    store = Datastore.register(workspace, "far", "s3://bucket/folder/", "my_aws", {"endpoint_url": "http://h"})
    assert (store.name, store.root) == ("far", "s3://bucket/folder")
    assert store == Datastore(workspace, "far")
    assert repr(store) == "Datastore('far', 's3://bucket/folder')"


def test_a_bucket_and_a_container_become_datastores(workspace):
    s3 = Datastore.register_s3_bucket(workspace, "s3", "bucket", "raw", conn_id="my_aws")
    blob = Datastore.register_azure_blob_container(workspace, "blob", "data", "account", conn_id="my_blob")
    lake = Datastore.register_azure_data_lake_gen2(workspace, "lake", "files", "account")
    assert [store.root for store in (s3, blob, lake)] == ["s3://bucket/raw", "abfs://data", "abfs://files"]
    assert workspace.state.datastores.get("blob").options == (("account_name", "account"),)


@pytest.mark.parametrize("secret", ["account_key", "sas_token"])
def test_a_key_is_refused_with_the_way_out(workspace, secret):
    with pytest.raises(
        UserError, match=f"{secret} would be stored with the workspace. Make an Airflow connection"
    ) as e:
        Datastore.register_azure_blob_container(workspace, "blob", "data", "account", **{secret: "top-secret"})
    assert "top-secret" not in str(e.value)


def test_a_client_secret_is_refused(workspace):
    with pytest.raises(UserError, match="client_secret would be stored with the workspace"):
        Datastore.register_azure_data_lake_gen2(workspace, "lake", "files", "account", client_secret="top-secret")


@pytest.mark.parametrize("option", ["key", "secret", "token", "account_key", "connection_string", "password"])
def test_a_secret_option_is_refused(workspace, option):
    with pytest.raises(UserError, match=f"the option '{option}' would be stored") as e:
        Datastore.register(workspace, "far", "s3://bucket", options={option: "top-secret"})
    assert "top-secret" not in str(e.value)


@pytest.mark.parametrize("url", ["s3://me:top-secret@bucket", "https://host/x?sig=top-secret"])
def test_a_url_with_credentials_is_refused(workspace, url):
    with pytest.raises(UserError, match="its URL must hold no credentials") as e:
        Datastore.register(workspace, "far", url)
    assert "top-secret" not in str(e.value)


@pytest.mark.parametrize("url", ["bucket", "s3://", "://bucket", "/data", Path("/data"), None])
def test_what_is_no_url_is_refused(workspace, url):
    message = rf"Datastore 'far': {re.escape(repr(url))} is no URL such as 's3://bucket/folder'\. Register a folder of"
    with pytest.raises(UserError, match=message):
        Datastore.register(workspace, "far", url)


def test_a_name_is_not_given_anew_by_accident(workspace):
    Datastore.register_s3_bucket(workspace, "s3", "one")
    assert Datastore.register_s3_bucket(workspace, "s3", "one").root == "s3://one"
    with pytest.raises(UserError, match=r"Datastore 's3' is s3://one already\. Pass overwrite=True to change it"):
        Datastore.register_s3_bucket(workspace, "s3", "two")
    assert Datastore.register_s3_bucket(workspace, "s3", "two", overwrite=True).root == "s3://two"


def test_one_url_is_not_reached_through_two_accounts(workspace):
    Datastore.register(workspace, "one", "s3://bucket/folder", "one")
    with pytest.raises(UserError, match="is already reached through datastore 'one', with another connection"):
        Datastore.register(workspace, "two", "s3://bucket", "two")


@pytest.fixture(params=["local", "memory"])
def store(request, workspace, tmp_path):
    if request.param == "memory":
        return Datastore.register(workspace, "far", f"memory://{tmp_path.name}-{id(tmp_path)}")
    (tmp_path / "near").mkdir()
    return Datastore.register_folder(workspace, "near", tmp_path / "near")


@pytest.fixture
def source(tmp_path):
    (tmp_path / "src/deep").mkdir(parents=True)
    (tmp_path / "src/a.txt").write_text("a")
    (tmp_path / "src/deep/b.txt").write_text("b")
    return tmp_path / "src"


def test_a_folder_is_uploaded_with_its_layout(store, source, tmp_path):
    reference = store.upload(str(source), "./to/here", show_progress=False)
    assert reference.path_on_datastore == "to/here"
    assert store.download(str(tmp_path / "back"), prefix="to", show_progress=False) == 2
    assert (tmp_path / "back/to/here/deep/b.txt").read_text() == "b"


def test_what_is_there_is_kept_unless_overwritten(store, source, tmp_path, capsys):
    store.upload(str(source), show_progress=False)
    (source / "a.txt").write_text("new")
    store.upload(str(source))
    assert "Target already exists. Skipping upload for" in capsys.readouterr().out
    assert store.download(str(tmp_path / "one"), show_progress=False) == 2
    assert (tmp_path / "one/a.txt").read_text() == "a"
    store.upload(str(source), overwrite=True, show_progress=False)
    assert store.download(str(tmp_path / "one"), show_progress=False) == 0
    assert store.download(str(tmp_path / "one"), overwrite=True, show_progress=False) == 2
    assert (tmp_path / "one/a.txt").read_text() == "new"


def test_a_single_file_lands_directly_in_the_target(store, source, tmp_path):
    store.upload_files([str(source / "deep/b.txt")], target_path="x", show_progress=False)
    assert store.download(str(tmp_path / "back"), prefix="x/b", show_progress=False) == 1
    assert (tmp_path / "back/x/b.txt").read_text() == "b"


def test_a_prefix_is_the_beginning_of_a_path(store, source, tmp_path):
    store.upload(str(source), show_progress=False)
    assert store.download(str(tmp_path / "back"), prefix="de", show_progress=False) == 1


def test_a_missing_file_or_folder_is_not_uploaded(store, tmp_path):
    with pytest.raises(DataNotFoundError, match="is no folder, so that it cannot be uploaded"):
        store.upload(str(tmp_path / "nope"))
    with pytest.raises(DataNotFoundError, match="is no file, so that it cannot be uploaded"):
        store.upload_files([str(tmp_path / "nope")])


def test_what_a_newer_refrain_registered_is_not_guessed(workspace):
    workspace.state.registry.add("datastores", "new", {"schema": 4, "place": "moon"})
    with pytest.raises(WorkspaceSchemaError, match="was registered by a newer Refrain"):
        Datastore(workspace, "new")
