from __future__ import annotations

import os
from pathlib import Path

import pytest

from refrain.runtime.parallel.files import EmptySource, FileSource, PathList


def all_of(source: FileSource | EmptySource) -> list[list[str]]:
    batches = []
    while not source.is_over:
        batch = source.next()
        assert batch is not None
        assert batch.index == len(batches)
        assert batch.items == len(batch.fields.get("files", []))
        batches.append(batch.fields.get("files", []))
    assert source.next() is None
    return batches


def folder(path: Path, *names: str) -> str:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).touch()
    return str(path)


def test_files_come_sorted_so_many_in_each(tmp_path: Path) -> None:
    root = folder(tmp_path, "b", "a/2", "a/1", "c", "a.txt")
    names = [[os.path.relpath(path, root) for path in batch] for batch in all_of(FileSource([root], 2))]
    assert names == [["a.txt", "a/1"], ["a/2", "b"], ["c"]]


def test_no_mini_batch_has_files_of_two_inputs(tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one", "a", "b", "c"), folder(tmp_path / "two", "d")
    source = FileSource([one, two], 2)
    assert source.total == 3
    assert [len(batch) for batch in all_of(source)] == [2, 1, 1]


def test_an_input_may_be_a_single_file(tmp_path: Path) -> None:
    root = folder(tmp_path, "only.csv")
    assert all_of(FileSource([f"{root}/only.csv"], 10)) == [[f"{root}/only.csv"]]


def test_an_empty_folder_gives_none(tmp_path: Path) -> None:
    assert all_of(FileSource([str(tmp_path)], 3)) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        PathList(str(tmp_path / "missing"))


def test_names_that_are_no_unicode_or_hold_line_ends_are_paths_like_others(tmp_path: Path) -> None:
    names = [b"\xff.bin", b"a\nb", b" ", "é".encode()]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    (batch,) = all_of(FileSource([str(tmp_path)], 10))
    assert [os.path.basename(os.fsencode(path)) for path in batch] == sorted(names)
    assert all(os.path.exists(path) for path in batch)


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    real = folder(tmp_path / "real", "x", "y")
    (tmp_path / "view").mkdir()
    (tmp_path / "view" / "folder").symlink_to(real)
    (tmp_path / "view" / "file").symlink_to(f"{real}/x")
    assert len(PathList(str(tmp_path / "view"))) == 3


@pytest.mark.parametrize("count", [0, 1, 4])
def test_run_can_be_called_without_data(count: int) -> None:
    assert all_of(EmptySource(count)) == [[]] * count
