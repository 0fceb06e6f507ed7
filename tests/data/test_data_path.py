"""Data paths: places that a run may choose, and their pairs with a binding."""

import pytest

from refrain.data.data_path import BoundPath, DataPath, DataPathComputeBinding
from refrain.data.parameters import PipelineParameter
from refrain.errors import UserError


@pytest.mark.parametrize("root", [None, "", "/", ".", "./"])
def test_the_root_of_a_datastore_has_several_names(store, root):
    assert DataPath(store, root).path_on_datastore == ""


def test_a_data_path_knows_its_place(store):
    path = DataPath(store, "/raw/2024/", name="raw")
    assert (path.datastore_name, path.path_on_datastore, path.name) == ("workspaceblobstore", "raw/2024", "raw")


def test_a_data_path_needs_a_datastore():
    with pytest.raises(UserError, match=r"A DataPath needs a datastore, not None; get it with Datastore.get"):
        DataPath(path_on_datastore="raw")


def test_a_data_path_stays_on_its_datastore(store):
    with pytest.raises(UserError, match=r"'\.\./secret'"):
        DataPath(store, "../secret")


def test_a_name_is_that_of_an_input(store):
    with pytest.raises(UserError, match="'my path' is no valid name for a DataPath"):
        DataPath(store, "raw", name="my path")


def test_a_path_and_a_binding_make_a_reference_and_back(store):
    binding = DataPathComputeBinding("download", "here", overwrite=True)
    reference = DataPath(store, "raw", name="raw").create_data_reference(datapath_compute_binding=binding)
    assert (reference.name, reference.path_on_datastore, reference.mode) == ("raw", "raw", "download")
    assert (reference.path_on_compute, reference.overwrite) == ("here", True)
    back = DataPath.create_from_data_reference(reference)
    assert (back.datastore_name, back.path_on_datastore) == ("workspaceblobstore", "raw")
    assert DataPathComputeBinding.create_from_data_reference(reference).path_on_compute == "here"


def test_a_binding_without_a_path_makes_no_reference():
    with pytest.raises(UserError, match="create_data_reference needs a datapath"):
        DataPathComputeBinding().create_data_reference("raw")


def test_a_data_path_is_read_not_written():
    with pytest.raises(UserError, match=r"mode 'upload' is not one of mount, download.*DataReference.as_upload\(\)"):
        DataPathComputeBinding("upload")


@pytest.mark.parametrize("first", ["raw", PipelineParameter("p", "raw"), None])
def test_a_pair_of_something_else_is_refused(first):
    with pytest.raises(UserError, match="the first must be a DataPath, or a PipelineParameter whose default"):
        BoundPath.of((first, DataPathComputeBinding()))


def test_the_name_of_an_input_is_that_of_the_path(store):
    parameter = PipelineParameter("p", DataPath(store, "raw", name="raw"))
    assert BoundPath.of((parameter, DataPathComputeBinding())).name == "raw"
