"""Columns in paths, read and written."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from refrain import Dataset
from refrain.data.files.dataset import FileDataset
from refrain.data.tabular.dataset import TabularDataset
from refrain.data.tabular.partition import PartitionFormat
from refrain.errors import DataError, UserError


@pytest.mark.parametrize(
    ("text", "path", "values"),
    [
        ("/{Department}/{day:yyyy/MM/dd}/data.jsonl", "/x/Accounts/2019/01/02/data.jsonl",
         {"Department": "Accounts", "day": datetime(2019, 1, 2)}),
        ("{a}-{b}.csv", "/in/x-y.csv", {"a": "x", "b": "y"}),
        ("/{a}/*/x_*.csv", "/in/1/any/x_9.csv", {"a": "1"}),
        ("/{t:yyyyMMddHHmmss}/*", "/in/20200102030405/f", {"t": datetime(2020, 1, 2, 3, 4, 5)}),
        ("/{y:yyyy}.csv", "/2020.csv", {"y": datetime(2020, 1, 1)}),
        ("/{{{a}}}/f", "/in/{x}/f", {"a": "x"}),
        ("/{a}.c+v", "/x.c+v", {"a": "x"}),
    ],
)  # fmt: skip
def test_a_path_is_read_from_the_first_key_to_its_end(text: str, path: str, values: dict[str, Any]) -> None:
    assert PartitionFormat(text).values(path) == values


def test_a_path_of_another_form_is_named() -> None:
    with pytest.raises(DataError, match=r"path '/x/a.txt' does not end as partition_format '/\{a\}/b.txt' says"):
        PartitionFormat("/{a}/b.txt").values("/x/a.txt")


def test_a_date_that_does_not_exist_is_named() -> None:
    with pytest.raises(DataError, match=r"'/2020/13/x' holds no date for 'd'"):
        PartitionFormat("/{d:yyyy/MM}/x").values("/2020/13/x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/x", "names no column"),
        ("/{a}/{a}", "names a column twice"),
        ("/{d:MM/dd}/x", "has no year"),
        ("/{a}/}", "single '}'"),
    ],
)
def test_wrong_formats_are_named(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        PartitionFormat(text)


@pytest.fixture
def dataset(tmp_path: Path) -> TabularDataset:
    (tmp_path / "a.csv").write_text("k,v,day\nb,1,2020-01-02 03:04:05\na,2,2020-01-02 03:04:05\nb,3,2021-01-01\n")
    return Dataset.Tabular.from_delimited_files(str(tmp_path / "a.csv"))


def test_partition_by_writes_parquet_below_the_keys_and_appends_them(dataset: TabularDataset, tmp_path: Path) -> None:
    made = dataset.partition_by(["k", "day"], str(tmp_path / "out"))
    assert isinstance(made, TabularDataset)
    assert made.partition_keys == ["k", "day"]
    assert made.to_arrow().column_names == ["v", "k", "day"]
    assert sorted(made.to_pandas_dataframe().itertuples(index=False, name=None)) == [
        (1, "b", datetime(2020, 1, 2, 3, 4, 5)), (2, "a", datetime(2020, 1, 2, 3, 4, 5)),
        (3, "b", datetime(2021, 1, 1)),
    ]  # fmt: skip
    files = sorted(str(path.relative_to(tmp_path / "out")).split("/", 1)[1] for path in tmp_path.rglob("*.parquet"))
    assert files == [
        "a/20200102030405/part-0.parquet",
        "b/20200102030405/part-0.parquet",
        "b/20210101000000/part-0.parquet",
    ]


def test_partition_by_can_return_the_files(dataset: TabularDataset, tmp_path: Path) -> None:
    made = dataset.partition_by(["k"], str(tmp_path / "out"), partition_as_file_dataset=True)
    assert isinstance(made, FileDataset)
    assert made.to_path() == ["/a/part-0.parquet", "/b/part-0.parquet"]
    assert made.get_partition_key_values() == [{"k": "a"}, {"k": "b"}]


def test_key_values_come_from_paths_or_from_the_rows_that_are_left(dataset: TabularDataset, tmp_path: Path) -> None:
    made = dataset.partition_by(["k", "day"], str(tmp_path / "out"))
    assert isinstance(made, TabularDataset)
    assert made.get_partition_key_values(["k"]) == [{"k": "a"}, {"k": "b"}]
    assert made.filter(made["v"] > 2).get_partition_key_values() == [{"k": "b", "day": datetime(2021, 1, 1)}]
    with pytest.raises(UserError, match=r"'v' is no partition column\. Partition columns: day, k"):
        made.get_partition_key_values(["v"])
    with pytest.raises(UserError, match="has no partition columns"):
        dataset.get_partition_key_values()


@pytest.mark.parametrize(
    ("text", "keys", "message"),
    [
        ("k,v\na/b,1\n", ["k"], "column 'k' holds 'a/b', which cannot name a folder"),
        ("k,v\n,1\nx,2\n", ["k"], "column 'k' holds None"),
        ("k,v\n..,1\n", ["k"], r"column 'k' holds '\.\.'"),
        ("k,v\na,1\n", ["m"], "no column 'm'"),
    ],
)
def test_values_that_cannot_name_a_folder_are_refused(tmp_path: Path, text: str, keys: list[str], message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    dataset = Dataset.Tabular.from_delimited_files(str(tmp_path / "a.csv"))
    with pytest.raises(DataError, match=message):
        dataset.partition_by(keys, str(tmp_path / "out"))


def test_partitioning_by_everything_is_refused(dataset: TabularDataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="every column would become part of the path"):
        dataset.partition_by(["k", "v", "day"], str(tmp_path / "out"))
