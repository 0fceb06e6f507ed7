"""Parquet files of one schema and of several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from refrain import Dataset
from refrain.data.tabular.types import DataType
from refrain.errors import DataError

read = Dataset.Tabular.from_parquet_files


def put(folder: Path, name: str, **columns: Any) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def test_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    put(tmp_path, "b.parquet", n=[3])
    put(tmp_path, "a.parquet", n=[1, 2])
    assert read(str(tmp_path)).to_arrow()["n"].to_pylist() == [1, 2, 3]


def test_path_and_partition_columns_are_added(tmp_path: Path) -> None:
    put(tmp_path, "it/a.parquet", n=[1])
    found = read(str(tmp_path), include_path=True, partition_format="/{country}/*.parquet").to_arrow()
    assert found.to_pylist() == [{"Path": str(tmp_path / "it/a.parquet"), "n": 1, "country": "it"}]


def test_the_first_schema_decides_and_narrower_types_are_widened(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "1.parquet", a=[1], b=pa.nulls(1))
    put(tmp_path, "2.parquet", b=["x"], a=pa.array([2], pa.int8()), c=[0])
    put(tmp_path, "3.parquet", a=pa.array([3], pa.float64()))
    found = read(str(tmp_path)).to_arrow().to_pylist()
    assert found == [{"a": 1, "b": None}, {"a": 2, "b": "x"}, {"a": 3, "b": None}]
    assert "2.parquet' has columns that the first file has not, left out: c." in caplog.text


def test_types_that_cannot_be_joined_are_named(tmp_path: Path) -> None:
    put(tmp_path, "1.parquet", a=[1])
    put(tmp_path, "2.parquet", a=["x"])
    with pytest.raises(
        DataError, match=r"2\.parquet', column 'a' is string, but int64 in the dataset.*set_column_types"
    ):
        read(str(tmp_path)).to_arrow()


def test_set_column_types_joins_them(tmp_path: Path) -> None:
    put(tmp_path, "1.parquet", a=[1])
    put(tmp_path, "2.parquet", a=["x"])
    found = read(str(tmp_path), set_column_types={"a": DataType.to_string()}).to_arrow()
    assert found["a"].to_pylist() == ["1", "x"]


def test_texts_become_dates_on_request(tmp_path: Path) -> None:
    put(tmp_path, "1.parquet", day=["31.12.2020", "?"])
    found = read(str(tmp_path), set_column_types={"day": DataType.to_datetime("%d.%m.%Y")}).to_arrow()
    assert [str(day) for day in found["day"].to_pylist()] == ["2020-12-31 00:00:00", "None"]


def test_dictionaries_are_read_as_their_values(tmp_path: Path) -> None:
    put(tmp_path, "1.parquet", a=pa.array(["x", "y", "x"]).dictionary_encode())
    assert str(read(str(tmp_path)).schema.field("a").type) == "string"
    assert read(str(tmp_path)).to_arrow()["a"].to_pylist() == ["x", "y", "x"]


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"a\.parquet' is no Parquet file: .*from_delimited_files"):
        read(str(tmp_path))


def test_large_files_are_read_in_batches_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refrain.data.tabular.parquet._SMALL", 0)
    put(tmp_path, "1.parquet", n=list(range(200_000)), s=["x"] * 200_000)
    batches = list(read(str(tmp_path)).keep_columns(["n"]).batches())
    assert len(batches) == 4
    assert [n for batch in batches for n in batch.table["n"].to_pylist()] == list(range(200_000))
