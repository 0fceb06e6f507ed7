"""DataReference: a place on a datastore."""

from pathlib import Path

import pytest

from refrain.data.reference import DataReference
from refrain.errors import UserError


@pytest.mark.parametrize("path", [None, "", "/", ".", "./"])
def test_the_root_is_called_like_its_datastore(store, path):
    reference = DataReference(store, path_on_datastore=path)
    assert (reference.name, reference.path_on_datastore) == ("workspaceblobstore", "")


def test_any_other_path_is_named_by_the_step_alone(store):
    """A random name would be another one in each process, and the step would never be reused."""
    assert store.path("a/b").name is None


def test_a_path_can_be_named(store):
    reference = store.path("./a//b", "raw")
    assert (reference.name, reference.data_reference_name, reference.path_on_datastore) == ("raw", "raw", "a/b")


def test_a_path_goes_on_from_a_path(store):
    assert store.path("a").path("b", "deep").path_on_datastore == "a/b"
    assert store.path("a").path("b", "deep").name == "deep"
    assert store.path().path("b").path_on_datastore == "b"


def test_modes_give_copies(store):
    reference = store.path("a", "raw")
    assert reference.as_download("here", overwrite=True) is not reference
    assert (reference.mode, reference.as_download().mode, reference.as_upload("x").mode) == (
        "mount",
        "download",
        "upload",
    )
    assert reference.as_download("here", overwrite=True).as_mount().name == "raw"


def test_a_mode_that_is_none_is_refused(store):
    with pytest.raises(UserError, match="DataReference 'raw': mode 'direct' is not one of mount, download, upload"):
        DataReference(store, "raw", mode="direct")


def test_a_name_that_is_none_is_refused(store):
    with pytest.raises(UserError, match="'a-b' is no valid name for a DataReference"):
        DataReference(store, "a-b")


@pytest.mark.parametrize("wrong", ["workspaceblobstore", None, 5, Path("somewhere")])
def test_something_else_than_a_datastore_is_refused_with_the_way_out(wrong):
    with pytest.raises(
        UserError, match=r"A DataReference needs a datastore, not .*; get it with Datastore.get\(workspace"
    ):
        DataReference(wrong, "raw")


def test_a_path_out_of_the_datastore_is_refused(store):
    with pytest.raises(UserError, match="leaves its datastore"):
        store.path("../other")
