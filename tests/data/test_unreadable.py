"""Data that cannot be read: what the error says, and that nothing half-written stays."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from refrain import Dataset, Datastore
from refrain.errors import DataError, DataNotFoundError, UserError

csv = Dataset.Tabular.from_delimited_files
Unprivileged = Callable[[], contextlib.AbstractContextManager[Path]]


def both(path: Any) -> Iterator[Callable[[], Any]]:
    """The files and the rows of a path."""
    yield lambda: Dataset.File.from_files(path, validate=False).to_path()
    yield lambda: csv(path)


def refused(path: Any, error: type[Exception], message: str) -> None:
    for look in both(path):
        with pytest.raises(error, match=message):
            look()


def test_a_path_that_does_not_exist(store: Datastore, tmp_path: Path) -> None:
    refused(
        (store, "no.csv"), DataNotFoundError, r"'no\.csv' on datastore 'workspaceblobstore' does not exist\. Correct"
    )
    refused(
        str(tmp_path / "no.csv"), DataNotFoundError, r"/no\.csv' does not exist\. Correct the path, or write the data"
    )


def test_a_glob_that_matches_nothing(store: Datastore, tmp_path: Path) -> None:
    refused((store, "in/*.csv"), DataNotFoundError, r"'in/\*\.csv' on datastore 'workspaceblobstore' matches no file")
    refused(str(tmp_path / "**/*.csv"), DataNotFoundError, r"/\*\*/\*\.csv' matches no file\. Correct the path")


def test_dots_in_a_datastore_path(store: Datastore) -> None:
    for path in ("../x", "a/../../x"):
        refused((store, path), UserError, rf"The path '{path}' leaves its datastore: '\.\.' is not allowed")


def test_a_link_that_leaves_the_datastore(store: Datastore, tmp_path: Path) -> None:
    (tmp_path / "other/in").mkdir(parents=True)
    (tmp_path / "other/in/a.csv").write_text("n\n1\n")
    root = Path(store.root)
    (root / "in").mkdir(parents=True)
    (root / "in/a.csv").symlink_to(tmp_path / "other/in/a.csv")
    (root / "folder").symlink_to(tmp_path / "other/in")
    (root / "within.csv").write_text("n\n1\n")
    (root / "in/b.csv").symlink_to(root / "within.csv")
    message = r"leads to '.*/other/in/a\.csv', outside of datastore 'workspaceblobstore' at .*register the other folder"
    for path in ("in", "in/a.csv", "in/*.csv", "folder", "folder/a.csv", "**/a.csv"):
        refused((store, path), DataError, message)
    assert Dataset.File.from_files((store, "in/b*")).to_path() == ["/b.csv"]


def test_a_link_that_leads_nowhere_or_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.csv").symlink_to(tmp_path / "gone")
    refused(str(tmp_path / "a"), DataError, r"The link '.*/a/b\.csv' leads to '.*/gone', where nothing is")
    refused(str(tmp_path / "a/*.csv"), DataError, r"The link '.*/a/b\.csv' leads to '.*/gone', where nothing is")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/again").symlink_to(tmp_path / "c")
    refused(str(tmp_path / "c"), DataError, r"The link '.*/c/again' leads back to a folder above it; remove it")


def test_a_pipe_among_the_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.csv")
    for path in (tmp_path, tmp_path / "p.csv", tmp_path / "*.csv"):
        refused(str(path), DataError, r"/p\.csv' is a FIFO, not a file; only files and folders can be stored")


def test_what_may_not_be_read(unprivileged: Unprivileged, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("n\n1\n")
    csv(str(tmp_path / "x.csv"))  # imports what it needs while it may
    with unprivileged() as folder:
        (folder / "in").mkdir()
        (folder / "in/a.csv").write_text("n\n1\n")
        (folder / "in/a.csv").chmod(0)
        files = Dataset.File.from_files(str(folder / "in"))
        with pytest.raises(DataError, match=r"Cannot read '.*/in/a\.csv': Permission denied"):
            csv(str(folder / "in"))
        with pytest.raises(DataError, match=r"Cannot read '.*/in/a\.csv': Permission denied"):
            files.download(str(folder / "copy"))
        assert [path for path in (folder / "copy").rglob("*") if path.is_file()] == []
        (folder / "in").chmod(0)
        refused(str(folder / "in"), DataError, r"Cannot list the directory '.*/in': Permission denied")
        (folder / "in").chmod(0o500)
        (folder / "full").mkdir()
        (folder / "full").chmod(0o500)
        with pytest.raises(DataError, match=r"cannot be written to '.*/full/copy/a\.csv': Permission denied"):
            files.download(str(folder / "full/copy"))


def test_a_full_disk_while_downloading(small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/large").write_bytes(os.urandom(4 << 20))
    with pytest.raises(DataError, match=r"Cannot write '.*/copy/.*': No space left on device\. Make room there"):
        Dataset.File.from_files(str(tmp_path / "in")).download(str(small_disk / "copy"))
    assert [path for path in small_disk.rglob("*") if path.is_file()] == []


def test_a_full_disk_while_a_table_is_written(small_disk: Path, tmp_path: Path, workspace: Any) -> None:
    (tmp_path / "t.csv").write_text("k,v\n" + "".join(f"{n % 3},{os.urandom(40).hex()}\n" for n in range(80_000)))
    store = Datastore.register_folder(workspace, "small", small_disk)
    with pytest.raises(DataError, match=r"disk/out/.* cannot be written: .*No space left on device"):
        csv(str(tmp_path / "t.csv")).partition_by(["k"], (store, "out"))
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n3\n", r"/x\.csv', row 3: 1 values, but the header has 2"),
        (b"a,b\n1,2\n3,\xff\n", r"/x\.csv', row 3, column 2: the byte 0xff is not utf-8\. Pass the file's encoding"),
    ],
)
def test_text_that_cannot_be_read(content: bytes, message: str, store: Datastore, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    store.upload_files([str(tmp_path / "x.csv")], show_progress=False)
    with pytest.raises(DataError, match=message):
        csv((store, "x.csv")).to_arrow()


def test_a_column_that_is_not_there(store: Datastore, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("size,n\n1,2\n")
    dataset = csv(str(tmp_path / "x.csv"))
    message = r"The dataset has no column 'sise'\. Columns: size, n\. Did you mean 'size'\?"
    for wrong in (dataset.keep_columns("sise"), dataset.filter(dataset["sise"] > 1), dataset.drop_columns("sise")):
        with pytest.raises(DataError, match=message):
            wrong.to_arrow()
