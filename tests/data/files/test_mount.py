"""Datasets as folders of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.remote_stores import S3Server, s3_server
from refrain import Dataset, Datastore, Workspace
from refrain.data.files.dataset import FileDataset
from refrain.errors import DataError, DataNotFoundError, UserError

NAMES = ["a.txt", "deep/b.txt"]


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(params=["local", "s3"])
def files(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileDataset:
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    for name in NAMES:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(name)
    if request.param == "local":
        return Dataset.File.from_files(str(tmp_path / "in"))
    server: S3Server = request.getfixturevalue("server")
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", server.connection())
    store = Datastore.register(Workspace(tmp_path / "ws"), "lake", f"s3://{server.make_bucket()}/x", "lake")
    store.upload(str(tmp_path / "in"), "in", show_progress=False)
    return Dataset.File.from_files((store, "in"))


def found(folder: str) -> dict[str, str]:
    paths = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def test_files_are_a_folder_while_they_are_mounted(files: FileDataset, tmp_path: Path) -> None:
    with files.mount() as mounted:
        assert found(mounted.mount_point) == {name: name for name in NAMES}
    assert not os.path.exists(mounted.mount_point)
    assert (tmp_path / "in/a.txt").read_text() == "a.txt"
    assert list((tmp_path / "cache/data/mounts").iterdir()) == []


def test_a_mount_point_can_be_named_and_files_chosen(files: FileDataset, tmp_path: Path) -> None:
    mounted = files.skip(1).mount(str(tmp_path / "here/point"))
    assert mounted.mount_point == str(tmp_path / "here/point")
    mounted.start()
    mounted.start()
    assert found(mounted.mount_point) == {"deep/b.txt": "deep/b.txt"}
    mounted.stop()
    mounted.stop()
    assert os.listdir(tmp_path / "here") == []


def test_a_folder_with_files_is_no_mount_point(files: FileDataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mount: '.*/in' is no empty folder\. Empty it, or name another"):
        files.mount(str(tmp_path / "in"))
    (tmp_path / "empty").mkdir()
    with files.mount(str(tmp_path / "empty")) as mounted:
        assert found(mounted.mount_point)


def test_what_cannot_be_mounted_leaves_nothing(files: FileDataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"Nothing can be mounted at '.*/file/below'"):
        files.mount(str(tmp_path / "file/below")).start()
    with pytest.raises(DataNotFoundError, match="does not exist"):
        Dataset.File.from_files(str(tmp_path / "none"), validate=False).mount(str(tmp_path / "point")).start()
    assert not (tmp_path / "point").exists()
    assert list((tmp_path / "cache/data/mounts").iterdir()) == []
