"""Datastores by name, and the paths on them."""

import pytest

from refrain.errors import UnknownNameError, UserError
from refrain.storage.datastores import DatastoreTable, normalized
from refrain.storage.objects import LocalObjectStore
from refrain.storage.registry import Registry
from refrain.storage.root import Root


@pytest.fixture
def table(tmp_path):
    return DatastoreTable(Root(tmp_path / "ws"), Registry(LocalObjectStore(tmp_path / "ws")))


@pytest.mark.parametrize("name", ["workspaceblobstore", "workspacefilestore"])
def test_two_datastores_are_always_there(table, tmp_path, name):
    assert table.get(name).root == tmp_path / "ws/datastores" / name
    assert name in table.names()


def test_a_folder_can_be_a_datastore(table, tmp_path):
    assert table.register("mine", tmp_path).root == tmp_path
    assert table.get("mine").root == tmp_path
    assert table.names() == ["mine", "workspaceblobstore", "workspacefilestore"]


def test_a_relative_folder_is_kept_as_an_absolute_one(table, tmp_path, monkeypatch):
    (tmp_path / "a/b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a")
    assert table.register("mine", "b/../b").root == tmp_path / "a/b"


def test_the_newest_registration_counts(table, tmp_path):
    (tmp_path / "new").mkdir()
    table.register("mine", tmp_path)
    table.register("mine", tmp_path / "new")
    assert table.get("mine").root == tmp_path / "new"


def test_the_default_can_be_changed(table, tmp_path):
    assert table.default() == "workspaceblobstore"
    table.register("mine", tmp_path)
    table.set_default("mine")
    assert table.default() == "mine"


def test_an_unknown_datastore_is_named_with_the_nearest_one(table):
    with pytest.raises(
        UnknownNameError,
        match=r"Unknown datastore 'workspaceblobstor'. Known: workspaceblobstore, workspacefilestore. "
        "Did you mean 'workspaceblobstore'. Register a folder with Datastore.register_folder",
    ):
        table.set_default("workspaceblobstor")


@pytest.mark.parametrize("name", ["a-b", "a.b", "", "a b", "../a", "é"])
def test_a_name_that_could_not_name_an_input_is_refused(table, tmp_path, name):
    with pytest.raises(UserError, match="is no valid name for a datastore: use letters, digits and '_' only"):
        table.register(name, tmp_path)


def test_a_missing_folder_is_refused(table, tmp_path):
    with pytest.raises(
        UserError, match=f"Datastore 'mine': the folder '{tmp_path}/no' does not exist; create it first"
    ):
        table.register("mine", tmp_path / "no")


@pytest.mark.parametrize("path", ["", ".", "/", "./", "//", "/."])
def test_the_root_has_many_names(table, tmp_path, path):
    assert table.get("workspaceblobstore").resolve(path) == tmp_path / "ws/datastores/workspaceblobstore"


@pytest.mark.parametrize("path", ["a/b", "/a/b", "./a/b", "a//b/", "a\\b", "a/./b"])
def test_a_path_has_one_form(path):
    assert normalized(path) == "a/b"


@pytest.mark.parametrize("path", ["..", "../a", "a/../../b", "/..", "a\\..\\b"])
def test_no_path_leaves_its_datastore(path):
    with pytest.raises(UserError, match=r"leaves its datastore: '\.\.' is not allowed"):
        normalized(path)


def test_dots_within_a_name_are_allowed():
    assert normalized("a/..b/c..") == "a/..b/c.."


def test_a_path_with_nul_is_refused():
    with pytest.raises(UserError, match="is no path: it holds a NUL character"):
        normalized("a\0b")
