"""Workspace: found by configuration, made on first use."""

import json
import os
import re
import uuid
from pathlib import Path

import pytest

from refrain.errors import UnknownNameError, UserError, WorkspaceError, WorkspaceSchemaError
from refrain.pipelines.workspace import Workspace

AZURE = {"subscription_id": "s", "resource_group": "g", "workspace_name": "azure"}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    (folder / "sub/deep").mkdir(parents=True)
    monkeypatch.chdir(folder / "sub/deep")
    return folder


def found(path=None):
    workspace = Workspace.from_config(path)
    return Path(workspace.root), workspace.name


# ---- without a configuration


def test_a_workspace_is_made_on_first_use(tmp_path):
    workspace = Workspace(tmp_path / "ws", name="mine")
    assert not (tmp_path / "ws").exists()
    assert (workspace.name, workspace.root, repr(workspace)) == (
        "mine",
        str(tmp_path / "ws"),
        f"Workspace('{tmp_path}/ws')",
    )
    assert Workspace(tmp_path / "ws", name="other").name == "mine"


def test_the_default_is_in_the_current_directory_and_called_like_it(project):
    workspace = Workspace()
    assert (workspace.root, workspace.name) == (str(project / "sub/deep/.refrain/workspace"), "deep")


@pytest.mark.parametrize("root", ["file:///data/a%20b", "/data/a b"])
def test_a_folder_may_be_a_file_url(root):
    assert Workspace(root).root == "/data/a b"


def test_a_home_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Workspace("~/ws").root == str(tmp_path / "ws")


@pytest.mark.parametrize("root", ["", " "])
def test_an_empty_name_does_not_mean_the_current_directory(root):
    with pytest.raises(WorkspaceError, match="The workspace's folder has an empty name; give a folder or a URL"):
        Workspace(root)


def test_a_newer_workspace_is_refused_at_once(tmp_path):
    write(tmp_path / "workspace.json", {"schema": 2, "name": "x"})
    with pytest.raises(WorkspaceSchemaError, match=r"has schema 2, this Refrain reads up to 1. Upgrade Refrain"):
        Workspace(tmp_path)


def test_a_damaged_workspace_is_refused_at_once(tmp_path):
    write(tmp_path / "workspace.json", "{")
    with pytest.raises(WorkspaceError, match="is damaged; restore it, or remove it"):
        Workspace(tmp_path)


# ---- configuration files


def test_a_configuration_is_found_in_a_folder_above(project):
    write(project / ".refrain/config.json", {"schema": 1, "name": "ours", "root": "state"})
    assert found() == (project / "state", "ours")
    assert Workspace().root == str(project / "state")


def test_a_relative_root_counts_from_the_project_and_an_absolute_one_stays(project, tmp_path):
    file = write(project / ".refrain/config.json", {"root": str(tmp_path / "far")})
    assert found()[0] == tmp_path / "far"
    write(file, {"root": "./near"})
    assert found()[0] == project / "near"


@pytest.mark.parametrize("name", [".azureml/config.json", "aml_config/config.json", "config.json"])
def test_azures_own_files_name_a_workspace_beside_them(project, name):
    write(project / name, AZURE)
    assert found() == (project / ".refrain/workspace", "azure")


def test_files_come_in_azures_order_and_the_nearest_folder_first(project):
    names = ["config.json", "aml_config/config.json", ".azureml/config.json"]
    for name in names:
        write(project / name, {**AZURE, "workspace_name": name})
        assert found()[1] == name
        Path(project / ".refrain/workspace/workspace.json").unlink()
    write(project / ".refrain/config.json", {"root": "r", "name": "ours"})
    assert found()[1] == "ours"
    write(project / "sub/config.json", {**AZURE, "workspace_name": "nearest"})
    assert found()[1] == "nearest"


def test_the_variable_rules_over_every_file(project, tmp_path, monkeypatch):
    write(project / ".refrain/config.json", {"root": "r"})
    monkeypatch.setenv("REFRAIN_WORKSPACE", str(tmp_path / "named"))
    assert found()[0] == tmp_path / "named"
    assert Workspace().root == str(tmp_path / "named")
    assert Workspace(tmp_path / "given").root == str(tmp_path / "given")


def test_a_file_or_a_folder_can_be_given(project, tmp_path):
    file = write(tmp_path / "elsewhere/my.json", AZURE)
    assert found(file) == (tmp_path / "elsewhere/.refrain/workspace", "azure")
    write(tmp_path / "elsewhere/.refrain/config.json", {"root": "r"})
    assert found(tmp_path / "elsewhere")[0] == tmp_path / "elsewhere/r"


@pytest.mark.parametrize("content", ['{"root": "src", "compilerOptions": {}}', "// comment\n{}", "[1]", "\x00", ""])
def test_a_config_of_some_other_program_is_passed_over(project, content):
    write(project / "sub/config.json", content)
    write(project / ".refrain/config.json", {"root": "r"})
    assert found()[0] == project / "r"


def test_no_file_at_all_is_named_with_the_way_out(project):
    with pytest.raises(
        WorkspaceError, match=r"No configuration file was found in '.*/sub/deep' or above. Make a workspace"
    ):
        Workspace.from_config()


@pytest.mark.parametrize("content", ["{", "\x00"])
def test_a_damaged_file_of_ours_is_named(project, content):
    write(project / ".refrain/config.json", content)
    with pytest.raises(WorkspaceError, match=r"The configuration file '.*/.refrain/config.json' cannot be read"):
        Workspace.from_config()


@pytest.mark.parametrize("content", [{}, [], {"name": "x"}, {"root": ""}, {"root": 5}, {"workspace_name": 5}])
def test_a_file_that_names_nothing_is_named(project, content):
    file = write(project / ".refrain/config.json", content)
    for path in (None, file):
        with pytest.raises(WorkspaceError, match=r"config.json' names neither a 'root' nor a 'workspace_name'"):
            Workspace.from_config(path)


def test_a_newer_configuration_is_refused(project):
    write(project / ".refrain/config.json", {"schema": 2, "root": "r"})
    with pytest.raises(WorkspaceSchemaError, match="has schema 2, this Refrain reads up to 1; upgrade Refrain"):
        Workspace.from_config()


# ---- writing it


def test_a_written_configuration_is_found_again(project):
    Workspace(project / "state", "mine").write_config(project)
    assert json.loads((project / ".refrain/config.json").read_text()) == {"schema": 1, "name": "mine", "root": "state"}
    assert found() == (project / "state", "mine")


def test_a_root_elsewhere_is_written_absolute(project, tmp_path):
    Workspace(tmp_path / "state").write_config(project)
    assert json.loads((project / ".refrain/config.json").read_text())["root"] == str(tmp_path / "state")


def test_a_root_of_any_bytes_is_found_again(project):
    folder = project / os.fsdecode(b"caf\xe9")
    Workspace(folder).write_config(project)
    assert found()[0] == folder


def test_a_place_that_cannot_be_written_is_named(project):
    write(project / "file", "")
    with pytest.raises(WorkspaceError, match=r"Cannot write '.*/file/.refrain/config.json': Not a directory"):
        Workspace(project / "ws").write_config(project / "file")


# ---- datastores


def test_the_default_datastore_can_be_changed(workspace):
    assert sorted(workspace.datastores) == ["workspaceblobstore", "workspacefilestore"]
    workspace.set_default_datastore("workspacefilestore")
    assert workspace.get_default_datastore().name == "workspacefilestore"
    with pytest.raises(UnknownNameError, match="Unknown datastore 'nope'"):
        workspace.set_default_datastore("nope")


# ---- on a URL


@pytest.fixture
def url(tmp_path, monkeypatch):
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    return f"memory://{uuid.uuid4().hex}/team"


def test_a_workspace_may_be_below_any_url(url):
    assert Workspace(url, name="ours").name == "ours"
    assert Workspace(url).name == "ours"
    assert Workspace(f"{url}/").root == url


def test_a_workspace_on_a_url_is_called_like_its_last_folder(url):
    assert Workspace(url).name == "team"


def test_its_own_datastores_are_below_the_url(url):
    assert Workspace(url).get_default_datastore().root == f"{url}/datastores/workspaceblobstore"


def test_its_root_says_how_it_is_reached_in_one_line(url, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", "{}")
    workspace = Workspace(url, conn_id="lake", options={"endpoint_url": "http://127.0.0.1:9000"})
    assert workspace.root == f"{url}?conn_id=lake&endpoint_url=http%3A%2F%2F127.0.0.1%3A9000"


def test_a_connection_that_is_not_there_is_named(url):
    with pytest.raises(UnknownNameError, match="There is no connection 'lake'"):
        Workspace(f"{url}?conn_id=lake")


def test_the_connection_comes_from_the_text_then_from_the_variable(url, monkeypatch):
    monkeypatch.setenv("REFRAIN_WORKSPACE_CONN_ID", "from_the_variable")
    monkeypatch.setenv("AIRFLOW_CONN_FROM_THE_VARIABLE", "{}")
    monkeypatch.setenv("AIRFLOW_CONN_OWN", "{}")
    monkeypatch.setenv("REFRAIN_WORKSPACE", url)
    assert Workspace().root == f"{url}?conn_id=from_the_variable"
    assert Workspace(f"{url}?conn_id=own").root == f"{url}?conn_id=own"
    assert Workspace("/data").root == "/data"


def test_a_configuration_file_may_name_a_url(project, url, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", "{}")
    config = {"schema": 1, "name": "ours", "root": url, "conn_id": "lake"}
    write(project / ".refrain/config.json", config)
    workspace = Workspace.from_config()
    assert (workspace.root, workspace.name) == (f"{url}?conn_id=lake", "ours")
    workspace.write_config(project / "copy")
    assert json.loads((project / "copy/.refrain/config.json").read_text()) == config


def test_a_configuration_file_with_wrong_options_is_named(project, url):
    write(project / ".refrain/config.json", {"root": url, "options": "none"})
    with pytest.raises(WorkspaceError, match="'conn_id' must be a text, and 'options' names with their values"):
        Workspace.from_config()


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("https://host/ws", "'https://host/ws' can be read only; give a folder, or a URL that can be written to"),
        ("s3://", "'s3://' names no place; write it as 's3://bucket/folder'"),
        ("sftp://user:word@host/ws", "The workspace's URL on 'host/ws' holds a password. Keep credentials in an"),
        ("s3://bucket/ws?secret=word", "the option 'secret' holds a secret. Keep credentials in an Airflow connection"),
    ],
)
def test_a_url_that_cannot_be_a_workspace_is_refused_without_showing_a_secret(root, message):
    with pytest.raises(WorkspaceError, match=re.escape(message)) as caught:
        Workspace(root)
    assert "word@" not in str(caught.value)
    assert "=word" not in str(caught.value)


def test_a_scheme_that_nobody_knows_is_named():
    with pytest.raises(UserError, match="No file system is known for nonsense://"):
        Workspace("nonsense://bucket/ws")
