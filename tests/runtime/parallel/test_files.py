from __future__ import annotations

import os
from pathlib import Path

import pytest

from refrain.runtime.parallel import files
from refrain.runtime.parallel.files import EmptySource, FileSource
from refrain.runtime.parallel.mini_batch import data_of


def all_of(source: FileSource | EmptySource) -> list[list[str]]:
    batches: list[list[str]] = []
    while not source.is_over:
        source.look()
        batch = source.next()
        assert (batch is None) == source.is_busy
        if batch is not None:
            paths = data_of(batch.fields, batch.content)
            assert (batch.index, batch.items) == (len(batches), len(paths))
            batches.append(paths)
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
        FileSource([str(tmp_path / "missing")], 1)


@pytest.mark.parametrize("roots", [1, 3])
def test_many_files_are_listed_little_by_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roots: int) -> None:
    monkeypatch.setattr(files, "_LOOK_SECONDS", 0)
    monkeypatch.setattr(files, "_LOOK_FILES", 2)
    inputs = [folder(tmp_path / str(number), "a", "b/1", "b/2", "c", "d") for number in range(roots)]
    source = FileSource(inputs, 2)
    assert source.is_busy
    assert source.total is None
    assert source.next() is None
    assert not source.is_over
    looks = 0
    while source.is_busy:
        source.look()
        looks += 1
    assert looks > roots
    assert source.total == 3 * roots
    assert [len(batch) for batch in all_of(source)] == [2, 2, 1] * roots


def test_an_input_that_goes_while_others_are_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LOOK_SECONDS", 0)
    source = FileSource([folder(tmp_path / "here", "a"), str(tmp_path / "gone")], 1)
    with pytest.raises(FileNotFoundError, match="gone"):
        all_of(source)


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
    assert [len(batch) for batch in all_of(FileSource([str(tmp_path / "view")], 10))] == [3]


def test_a_link_back_to_a_folder_above_it_is_named(tmp_path: Path) -> None:
    for name in ("one", "other"):  # two of them give a walk without end
        (tmp_path / name).symlink_to(tmp_path)
    with pytest.raises(OSError, match=r"leads back to a folder above it: '.*/o"):
        all_of(FileSource([folder(tmp_path, "a")], 1))


@pytest.mark.parametrize("count", [0, 1, 4])
def test_run_can_be_called_without_data(count: int) -> None:
    assert all_of(EmptySource(count)) == [[]] * count
