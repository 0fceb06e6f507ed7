"""File datasets: which files are in them, their paths, and copies of them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from refrain import Dataset
from refrain.data.files.dataset import FileDataset
from refrain.data.tabular.access import ListedFiles
from refrain.errors import DataError, DataNotFoundError, UserError

NAMES = ["/cat/1.jpg", "/cat/2.jpg", "/dog/1.jpg", "/dog/3.png"]


@pytest.fixture
def animals(tmp_path: Path) -> FileDataset:
    for number, name in enumerate(NAMES):
        path = tmp_path / "animals" / name[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * number)
    return Dataset.File.from_files(str(tmp_path / "animals"), partition_format="/{kind}/*")


def test_paths_are_rooted_in_the_dataset(animals: FileDataset, tmp_path: Path) -> None:
    assert animals.to_path() == NAMES
    assert Dataset.File.from_files(str(tmp_path / "animals/dog/*.png")).to_path() == ["/3.png"]
    assert Dataset.File.from_files(str(tmp_path / "animals/*/1.jpg")).to_path() == ["/cat/1.jpg", "/dog/1.jpg"]


def test_rows_of_a_table_and_files_are_chosen_alike(animals: FileDataset) -> None:
    assert animals.skip(1).take(2).to_path() == NAMES[1:3]
    first, second = animals.random_split(0.5, seed=1)
    assert sorted(first.to_path() + second.to_path()) == NAMES
    assert animals.take_sample(0.5, seed=1).to_path() == first.to_path()


def test_files_are_filtered_by_what_their_paths_say_and_what_is_known_of_them(animals: FileDataset) -> None:
    assert animals.filter(animals["kind"] == "dog").to_path() == NAMES[2:]
    assert animals.filter(animals.file_metadata("Size") >= 2).to_path() == NAMES[2:]
    assert animals.filter(animals.file_metadata("Extension") == ".png").to_path() == NAMES[3:]
    assert animals.filter(~animals.file_metadata("Path").starts_with("/cat/")).to_path() == NAMES[2:]
    with pytest.raises(UserError, match=r"file_metadata\('Owner'\): known are Extension, Name, Path, Size"):
        animals.file_metadata("Owner")


def test_partition_columns_have_values(animals: FileDataset) -> None:
    assert animals.partition_keys == ["kind"]
    assert animals.skip(2).get_partition_key_values() == [{"kind": "dog"}]


def test_downloads_keep_their_paths(animals: FileDataset, tmp_path: Path) -> None:
    found = animals.download(str(tmp_path / "copy"))
    assert found == [str(tmp_path / "copy") + name for name in NAMES]
    assert [Path(path).stat().st_size for path in found] == [0, 1, 2, 3]
    assert [path.name for path in (tmp_path / "copy" / "cat").iterdir() if path.name.startswith(".")] == []


def test_a_file_that_is_there_is_only_replaced_on_request(animals: FileDataset, tmp_path: Path) -> None:
    animals.download(str(tmp_path / "copy"))
    with pytest.raises(DataError, match=r"1\.jpg' exists\. Pass overwrite=True"):
        animals.download(str(tmp_path / "copy"))
    animals.download(str(tmp_path / "copy"), overwrite=True)


def test_two_files_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x").write_text(folder)
    dataset = Dataset.File.from_files([str(tmp_path / "a"), str(tmp_path / "b")])
    with pytest.raises(UserError, match="would both be written as '/x'"):
        dataset.download(str(tmp_path / "copy"))


@pytest.fixture
def vanishing(animals: FileDataset, tmp_path: Path) -> FileDataset:
    """A dataset of which a file vanishes between listing and reading."""
    listed = tuple(item.file for item in animals.files())
    (tmp_path / "animals/cat/2.jpg").unlink()
    return replace(animals, access=ListedFiles(listed))


def test_a_file_that_is_gone_is_an_error_or_left_out(vanishing: FileDataset, tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"/animals/cat/2\.jpg' is gone since it was listed"):
        vanishing.download(str(tmp_path / "copy"))
    found = vanishing.download(str(tmp_path / "other"), ignore_not_found=True)
    assert len(found) == 3
    assert os.listdir(tmp_path / "other" / "cat") == ["1.jpg"]


def test_a_name_cannot_leave_the_target(animals: FileDataset, tmp_path: Path) -> None:
    listed = tuple(replace(item.file, name="/../x") for item in animals.take(1).files())
    with pytest.raises(DataError, match="would be written outside of"):
        replace(animals, access=ListedFiles(listed)).download(str(tmp_path / "copy"))
    assert not (tmp_path / "x").exists()


def test_the_definition_is_json(animals: FileDataset) -> None:
    made = json.loads(animals.filter(animals["kind"] == "dog").take(1).identity)
    assert made["kind"] == "file"
    assert [operation["operation"] for operation in made["operations"]] == ["filter", "rows"]


def test_a_table_becomes_files_one_for_each_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / f"in/{number}.csv").write_text(f"n,s\n{number},a;b\n{number + 10},c\n")
    table = Dataset.Tabular.from_delimited_files(str(tmp_path / "in"))
    files = table.filter(table["n"] >= 2).to_csv_files(separator=";")
    assert files.to_path() == ["/part-00000.csv", "/part-00001.csv", "/part-00002.csv"]
    texts = [Path(path).read_text() for path in files.download(str(tmp_path / "copy"))]
    assert texts == ['"n";"s"\n10;"c"\n', '"n";"s"\n11;"c"\n', '"n";"s"\n2;"a;b"\n12;"c"\n']
    parquet = table.skip(1).take(2).to_parquet_files().download(str(tmp_path / "copy"))
    assert [pq.read_table(path)["n"].to_pylist() for path in parquet] == [[10], [1], []]
