"""Datastore: a named place, as users hold it."""

import pytest

from refrain.data.datastore import Datastore
from refrain.errors import UnknownNameError, UserError


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
