"""Datasets under names: versions, labels, and what is found again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from refrain import Dataset, Datastore, Workspace
from refrain.data.files.dataset import FileDataset
from refrain.data.registered import DatasetRecord, DatasetVersions
from refrain.data.tabular.dataset import TabularDataset
from refrain.errors import DataError, UnknownNameError, UserError, WorkspaceSchemaError
from refrain.storage.manifest import TreeKind
from refrain.storage.state import WorkspaceState


@pytest.fixture
def table(store: Datastore, tmp_path: Path) -> TabularDataset:
    (tmp_path / "t.csv").write_text("k,n\na,1\nb,2\n")
    store.upload_files([str(tmp_path / "t.csv")], target_path="in", show_progress=False)
    made: TabularDataset = Dataset.Tabular.from_delimited_files((store, "in/t.csv"))
    return made


def test_a_definition_keeps_its_version_and_another_one_is_registered_on_request(
    workspace: Workspace, table: TabularDataset
) -> None:
    first = table.register(workspace, "prices", "Daily", {"team": 1})
    assert (first.name, first.version, first.description, first.tags) == ("prices", 1, "Daily", {"team": "1"})
    again = table.register(workspace, "prices", "ignored", create_new_version=True)
    assert (again.version, again.description) == (1, "Daily")
    with pytest.raises(
        UserError,
        match=r"already a dataset registered under the name 'prices', with another definition \(its newest version is 1"
        r"\)\. Pass create_new_version=True to register this one as version 2",
    ):
        table.take(1).register(workspace, "prices")
    assert table.take(1).register(workspace, "prices", create_new_version=True).version == 2
    assert table.register(workspace, "prices").version == 1
    assert table.register(workspace, "prices", create_new_version=True).version == 3


def test_registered_datasets_are_found_again(workspace: Workspace, table: TabularDataset, tmp_path: Path) -> None:
    registered = table.take(1).register(workspace, "one row")
    files = Dataset.File.from_files(str(tmp_path / "*.csv")).register(workspace, "files")
    other = Workspace(workspace.root)
    found = Dataset.get_by_name(other, "one row")
    assert isinstance(found, TabularDataset)
    assert found.to_arrow().to_pylist() == [{"k": "a", "n": 1}]
    assert (found.id, found.version) == (registered.id, 1)
    assert Dataset.get_by_id(other, files.id).to_path() == ["/t.csv"]
    assert {name: type(dataset) for name, dataset in other.datasets.items()} == {
        "files": FileDataset,
        "one row": TabularDataset,
    }
    with pytest.raises(UnknownNameError, match="No dataset with the id 'x' is registered, nor is one an input of this"):
        Dataset.get_by_id(other, "x")


def _reads(state: WorkspaceState, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return where the keys are written down that are read from now on."""
    read: list[str] = []
    get = type(state.objects).get
    monkeypatch.setattr(type(state.objects), "get", lambda objects, key: read.append(key) or get(objects, key))
    return read


def test_an_id_is_found_without_reading_every_record(
    workspace: Workspace, table: TabularDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        table.take(number).register(workspace, f"other {number}")
    wanted = table.take(50).register(workspace, "wanted")
    read = _reads(workspace.state, monkeypatch)
    found = Dataset.get_by_id(workspace, wanted.id)
    assert (found.name, found.version) == ("wanted", 1)
    assert len(set(read)) == 2


def test_an_id_is_that_of_the_version_registered_last_and_still_there(
    workspace: Workspace, table: TabularDataset
) -> None:
    first = table.register(workspace, "first")
    table.take(1).register(workspace, "first", create_new_version=True)
    table.register(workspace, "first", create_new_version=True)
    assert Dataset.get_by_id(workspace, first.id).version == 3
    second = table.register(workspace, "second")
    assert Dataset.get_by_id(workspace, first.id).name == "second"
    second.unregister_all_versions()
    assert Dataset.get_by_id(workspace, first.id).name == "first"
    table.take(1).register(workspace, "second")
    assert Dataset.get_by_id(workspace, first.id).name == "first"
    Dataset.get_by_name(workspace, "first").unregister_all_versions()
    with pytest.raises(UnknownNameError, match="No dataset with the id"):
        Dataset.get_by_id(workspace, first.id)


def test_ids_of_before_they_were_noted_are_looked_for_once(
    workspace: Workspace, table: TabularDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        table.take(number).register(workspace, f"other {number}")
    wanted = table.take(50).register(workspace, "wanted")
    workspace.state.objects.drop("registry/dataset-ids")
    assert Dataset.get_by_id(workspace, wanted.id).name == "wanted"
    read = _reads(workspace.state, monkeypatch)
    assert Dataset.get_by_id(workspace, wanted.id).name == "wanted"
    assert len(set(read)) == 2


def test_a_changed_dataset_is_registered_no_more(workspace: Workspace, table: TabularDataset) -> None:
    registered = table.register(workspace, "t")
    for changed in (registered.take(1), registered.with_timestamp_columns(None), registered.keep_columns("n")):
        assert (changed.name, changed.version, changed.description, changed.tags) == (None, None, None, {})
    with pytest.raises(UserError, match=r"change of description or tags needs a registered dataset: call register"):
        table.add_tags({"a": "b"})


def test_tags_and_description_change_for_one_version(workspace: Workspace, table: TabularDataset) -> None:
    first = table.register(workspace, "t", "one", {"a": "1", "b": "2"})
    second = table.take(1).register(workspace, "t", create_new_version=True)
    first.add_tags({"c": 3}).remove_tags(["a", "none"])
    first.update(description="other")
    assert (first.description, first.tags) == ("other", {"b": "2", "c": "3"})
    assert (second.description, second.tags) == (None, {})
    assert Dataset.get_by_name(Workspace(workspace.root), "t", 1).tags == {"b": "2", "c": "3"}


def test_all_versions_are_forgotten_and_the_data_stays(workspace: Workspace, table: TabularDataset) -> None:
    registered = table.register(workspace, "t").add_tags({"a": "1"})
    table.take(1).register(workspace, "t", create_new_version=True)
    registered.unregister_all_versions()
    assert workspace.datasets == {}
    with pytest.raises(UnknownNameError, match=r"Unknown dataset 't'\. Known: none"):
        Dataset.get_by_name(workspace, "t")
    assert table.register(workspace, "t").tags == {}
    assert table.to_arrow().num_rows == 2


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 256, None])
def test_a_name_that_cannot_be_one_is_refused(workspace: Workspace, table: TabularDataset, name: str) -> None:
    with pytest.raises(UserError, match="is no valid name among the datasets: use letters, digits"):
        table.register(workspace, name)
    assert workspace.datasets == {}


RACE = """
from pathlib import Path
from refrain import Dataset, Workspace
workspace = Workspace(sys.argv[1])
def work(number):
    dataset = Dataset.File.from_files(f"/data/{number}", validate=False)
    return dataset.register(workspace, "raced", create_new_version=True).version
"""


def test_fifty_processes_at_once_get_versions_of_their_own(tmp_path: Path, race: Callable[..., list[str]]) -> None:
    versions = [int(answer) for answer in race(RACE, 50)]
    assert sorted(versions) == list(range(1, 51))
    kept = Workspace(tmp_path)
    paths = [Dataset.get_by_name(kept, "raced", version).source.locations[0][1] for version in versions]
    assert paths == [f"/data/{number}" for number in range(50)]


def test_one_definition_has_one_version_however_many_register_it(race: Callable[..., list[str]]) -> None:
    assert set(race(RACE.replace("{number}", "0"), 20)) == {"1"}


def test_a_record_of_the_first_schema_is_read(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/part").write_text("x")
    handle = {"uri": (tmp_path / "out").as_uri(), "kind": "directory", "digest": "a" * 64, "files": 1, "bytes": 1}
    old = {"schema": 1, **handle, "description": "d", "tags": {"a": "b"}, "run_id": "r.s.1", "created": 5.0}
    workspace.state.registry.add("datasets", "old", old)
    found = Dataset.get_by_name(workspace, "old")
    assert (found.to_path(), found.description, found.tags) == (["/part"], "d", {"a": "b"})
    record = DatasetVersions(workspace.state.registry).get("old", 1)
    assert record is not None
    assert record.content is not None
    assert (record.content.kind, record.run_id) == (TreeKind.DIRECTORY, "r.s.1")
    assert DatasetRecord.from_json(json.loads(json.dumps(record.to_json())), "old") == record


def test_a_record_of_a_newer_schema_is_refused(workspace: Workspace) -> None:
    workspace.state.registry.add("datasets", "new", {"schema": 3})
    with pytest.raises(WorkspaceSchemaError, match=r"'new' was registered by a newer Refrain: .* schema 3, this"):
        Dataset.get_by_name(workspace, "new")


def test_a_data_frame_is_written_and_registered(workspace: Workspace, store: Datastore) -> None:
    frame = pd.DataFrame({"a.b": [1, 2], "day": pd.to_datetime(["2020-01-01", None])})
    made = Dataset.Tabular.register_pandas_dataframe(frame, store, "frame", "A frame", {"x": "y"})
    assert (made.name, made.version, made.tags) == ("frame", 1, {"x": "y"})
    assert made.source.places[0].path.startswith("managed-dataset/")
    read = Dataset.get_by_name(workspace, "frame").to_pandas_dataframe()
    assert list(read.columns) == ["a_b", "day"]
    assert read["a_b"].tolist() == [1, 2]
    again = Dataset.Tabular.register_pandas_dataframe(frame, (store, "mine"), "frame", make_target_path_unique=False)
    assert (again.version, again.source.places[0].path) == (2, "mine")
    with pytest.raises(UserError, match="there is something at 'mine' on datastore 'workspaceblobstore' already"):
        Dataset.Tabular.register_pandas_dataframe(frame, (store, "mine"), "frame", make_target_path_unique=False)


def test_what_is_no_frame_for_a_file_is_refused_and_leaves_nothing(store: Datastore, workspace: Workspace) -> None:
    write = Dataset.Tabular.register_pandas_dataframe
    with pytest.raises(UserError, match="needs a target on a datastore"):
        write(pd.DataFrame({"a": [1]}), "/tmp", "frame")
    with pytest.raises(UserError, match="list is no pandas data frame"):
        write([1], store, "frame")
    with pytest.raises(UserError, match=r"several columns would be called a_b, for '\.' becomes '_'"):
        write(pd.DataFrame([[1, 2]], columns=["a.b", "a_b"]), store, "frame")
    with pytest.raises(DataError, match="the data frame holds values of several types in one column"):
        write(pd.DataFrame({"a": [1, "x", object()]}), store, "frame")
    assert store.state.stores.on(store.name, "").files() == []
    assert workspace.datasets == {}


def test_partitions_are_registered(workspace: Workspace, store: Datastore, table: TabularDataset) -> None:
    made = table.partition_by(["k"], (store, "parts"), name="by k")
    assert (made.name, made.version, made.partition_keys) == ("by k", 1, ["k"])
    files = table.partition_by(["k"], (store, "parts"), name="by k", partition_as_file_dataset=True)
    assert (files.version, isinstance(Dataset.get_by_name(workspace, "by k"), FileDataset)) == (2, True)
    with pytest.raises(UserError, match=r"partition_by\(name=…\) needs a target on a datastore"):
        table.partition_by(["k"], "/tmp/x", name="by k")
