"""Dataset.File: files by path or glob."""

import pytest

from refrain.data.data_path import DataPath
from refrain.data.dataset import Dataset
from refrain.data.ports import FromFiles
from refrain.errors import DataNotFoundError, UserError


def locations(path, **options):
    return Dataset.File.from_files(path, **options).source.locations


def test_a_local_path_is_kept_absolute(tmp_path, monkeypatch):
    (tmp_path / "a.csv").touch()
    monkeypatch.chdir(tmp_path)
    assert locations("a.csv") == ((None, str(tmp_path / "a.csv")),)
    assert locations(tmp_path) == ((None, str(tmp_path)),)


def test_a_glob_must_match_something(tmp_path):
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/a.csv").touch()
    assert locations(str(tmp_path / "**/*.csv")) == ((None, f"{tmp_path}/**/*.csv"),)
    with pytest.raises(
        DataNotFoundError, match=r"'.*/\*.txt' matches nothing. Correct the path, or pass validate=False"
    ):
        locations(str(tmp_path / "*.txt"))


def test_a_file_whose_name_looks_like_a_glob_is_there(tmp_path):
    (tmp_path / "data[1].csv").touch()
    assert locations(tmp_path / "data[1].csv")


def test_what_comes_later_is_not_looked_for(tmp_path):
    assert locations(tmp_path / "later", validate=False)


def test_datastores_and_references_are_paths_too(store, tmp_path):
    paths = [(store, "/raw/*.csv"), store.path("a/b"), store.path(), str(tmp_path)]
    assert locations(paths) == (
        ("workspaceblobstore", "raw/*.csv"),
        ("workspaceblobstore", "a/b"),
        ("workspaceblobstore", ""),
        (None, str(tmp_path)),
    )


def test_no_path_at_all_is_refused():
    with pytest.raises(UserError, match="got an empty list of paths"):
        locations([])


@pytest.mark.parametrize("wrong", [5, None, ("a", "b"), {"a": 1}])
def test_what_is_no_path_is_refused(wrong):
    with pytest.raises(
        UserError, match=r"cannot read .*: give a path, a URL, \(datastore, 'path'\), a DataReference or a list"
    ):
        locations(wrong)


def test_a_list_within_a_pair_is_refused(store):
    with pytest.raises(UserError, match=r"\['a', 'b'\] is no path; give one \(datastore, 'path'\) for each"):
        locations((store, ["a", "b"]))


@pytest.mark.parametrize("url", ["https://example.org/a.csv", "s3://bucket/a"])
def test_a_url_is_kept_as_it_is(url):
    assert Dataset.File.from_files(url).source.locations == ((None, url),)


def test_a_dataset_becomes_an_input(tmp_path):
    data = Dataset.File.from_files(tmp_path)
    named = data.as_named_input("raw")
    assert (named.name, named.mode, named.dataset) == ("raw", "direct", data)
    assert (data.as_mount().name, data.as_mount("here").mode, data.as_mount("here").path_on_compute) == (
        None,
        "mount",
        "here",
    )
    assert (data.as_download("here").mode, data.as_download("here").path_on_compute) == ("download", "here")


def test_an_input_with_a_wrong_name_is_refused(tmp_path):
    with pytest.raises(UserError, match="'my data' is no valid name for a dataset input"):
        Dataset.File.from_files(tmp_path).as_named_input("my data")


def test_a_data_path_is_a_path_of_a_dataset(store):
    path = DataPath(store, "raw/*.csv")
    assert Dataset.File.from_files(path).source == FromFiles((("workspaceblobstore", "raw/*.csv"),))
