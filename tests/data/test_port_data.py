"""PortDataReference: what a step left, as data to look at and to read again."""

import pytest

from refrain.data.handle import DataHandle
from refrain.data.port_data import PortDataReference
from refrain.errors import DataError, UserError
from refrain.storage.manifest import TreeKind


@pytest.fixture
def left(store, workspace):
    """Two files, as step run r.s.1 left them."""
    place = workspace.state.stores.on(store.name, "azureml/r.s.1/out")
    place.in_place.mkdir(parents=True)
    (place.in_place / "a.txt").write_text("a")
    (place.in_place / "b.txt").write_text("b")
    handle = DataHandle(place.uri, TreeKind.DIRECTORY, "0" * 64, 2, 2)
    return PortDataReference("out", store.name, "azureml/r.s.1/out", handle, workspace.state)


def test_it_knows_its_names_and_its_place(left, store):
    assert (left.name, left.data_reference_name, left.datastore_name) == ("out", "out", "workspaceblobstore")
    assert (left.path_on_datastore, left._path_on_datastore) == ("azureml/r.s.1/out",) * 2
    assert left.datastore == store


def test_a_download_keeps_the_path_on_the_datastore_and_counts_new_files(left, tmp_path):
    target = tmp_path / "azureml/r.s.1/out"
    assert left.download(str(tmp_path)) == 2
    (target / "a.txt").write_text("mine")
    assert left.download(str(tmp_path)) == 0
    assert (target / "a.txt").read_text() == "mine"
    assert left.download(str(tmp_path), overwrite=True) == 2
    assert (target / "a.txt").read_text() == "a"


def test_what_is_gone_cannot_be_downloaded(left, tmp_path):
    for file in left.place.in_place.iterdir():
        file.unlink()
    with pytest.raises(DataError, match="The output 'out' is no longer at"):
        left.download(str(tmp_path))


def test_the_ways_to_read_it_give_copies(left):
    assert (left.as_mount().mode, left.as_mount("x").name) == ("mount", "x")
    download = left.as_download("y", path_on_compute="here")
    assert (download.mode, download.name, download.path_on_compute) == ("download", "y", "here")
    assert (left.as_input("z").name, left.name) == ("z", "out")


def test_a_wrong_name_or_mode_is_refused(left):
    with pytest.raises(UserError, match="'my input' is no valid name for an input"):
        left.as_input("my input")
    with pytest.raises(UserError, match="Input 'out': mode 'upload' is not one of mount, download, direct"):
        left.create_input_binding(mode="upload")
