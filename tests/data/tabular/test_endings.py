"""Rows of files, by the ending of their names."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.parquet
import pytest

from refrain.data.tabular.endings import rows_at
from refrain.errors import DataError, DataNotFoundError

ROWS = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


@pytest.fixture
def stores(workspace):
    return workspace.state.stores


def _written(folder, name):
    if name.endswith(".parquet"):
        pa.parquet.write_table(pa.Table.from_pylist(ROWS), folder / name)
    elif name.endswith(".gz"):
        (folder / name).write_bytes(gzip.compress(b"a,b\n1,x\n2,y\n"))
    else:
        separator = "\t" if name.lower().endswith(".tsv") else ","
        (folder / name).write_text("a,b\n1,x\n2,y\n".replace(",", separator))
    return folder / name


@pytest.mark.parametrize("name", ["a.csv", "a.CSV", "a.csv.gz", "a.tsv", "a.parquet"])
def test_the_ending_says_how_a_file_is_read(stores, tmp_path, name):
    assert rows_at(stores.local(_written(tmp_path, name)), stores).to_arrow().to_pylist() == ROWS


def test_a_folder_is_all_of_its_files_but_hidden_ones(stores, tmp_path):
    for name in ("b.csv", "a.csv", "_SUCCESS", ".note.txt"):
        _written(tmp_path, name)
    assert rows_at(stores.local(tmp_path), stores).to_arrow().to_pylist() == ROWS * 2


def test_files_of_another_kind_or_of_two_are_named(stores, tmp_path):
    path = _written(tmp_path, "a.json")
    with pytest.raises(
        DataError, match=r"a\.json is no file of rows: its name ends in none of \.csv, \.csv\.gz, \.tsv"
    ):
        rows_at(stores.local(path), stores)
    path.rename(tmp_path / "a.csv")
    _written(tmp_path, "b.tsv")
    with pytest.raises(DataError, match=r"a\.csv and .*b\.tsv are of different kinds"):
        rows_at(stores.local(tmp_path), stores)


def test_a_folder_without_files_is_named(stores, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataNotFoundError, match=r"There is no file at .*empty whose rows could be read"):
        rows_at(stores.local(tmp_path / "empty"), stores)
