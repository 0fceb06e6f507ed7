"""JSON lines, one object a row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from refrain import Dataset
from refrain.data.tabular.types import DataType
from refrain.errors import DataError

Write = Callable[[str, str], Path]
read = Dataset.Tabular.from_json_lines_files


def test_columns_are_the_keys_and_types_those_of_json(write: Write) -> None:
    path = write("a.jsonl", '{"a": 1, "b": true, "s": "x"}\n\n{"a": 2.5, "c": {"k": [1]}, "s": null}\n')
    assert read(path).to_arrow().to_pylist() == [
        {"a": 1.0, "b": True, "s": "x", "c": None},
        {"a": 2.5, "b": None, "s": None, "c": '{"k":[1]}'},
    ]


def test_an_invalid_line_is_named(write: Write) -> None:
    path = write("a.jsonl", '{"a": 1}\n{"a": \n')
    with pytest.raises(DataError, match=r"a\.jsonl', row 2 is no JSON object: .*invalid_lines='drop'"):
        read(path).to_arrow()


def test_a_line_that_is_no_object_is_invalid(write: Write) -> None:
    with pytest.raises(DataError, match=r"row 1 is no JSON object: a list instead of an object"):
        read(write("a.jsonl", "[1]\n")).to_arrow()


def test_invalid_lines_are_dropped_on_request(write: Write) -> None:
    path = write("a.jsonl", '{"a": 1}\nnull\n{"a": 3}\n')
    assert read(path, invalid_lines="drop").to_arrow()["a"].to_pylist() == [1, 3]


def test_types_can_be_set(write: Write) -> None:
    path = write("a.jsonl", '{"d": "2020-01-31", "n": "7"}\n')
    types = {"d": DataType.to_datetime(), "n": DataType.to_long()}
    assert read(path, set_column_types=types).to_arrow().to_pylist() == [{"d": datetime(2020, 1, 31), "n": 7}]


def test_a_value_of_another_type_is_null_or_an_error(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    path = write("a.jsonl", '{"n": 1}\n' * 2000 + '{"n": "x"}\n')
    dataset = read(path)
    assert dataset.to_arrow()["n"].to_pylist()[-2:] == [1, None]
    assert "row 2001, column 'n': 'x' is no long" in caplog.text
    with pytest.raises(DataError, match="row 2001, column 'n': 'x' is no long"):
        dataset.to_arrow(on_error="fail")


def test_encodings(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes('{"a": "é"}\n{"a": "ü"}\n'.encode("utf-16"))
    assert read(str(tmp_path / "a.jsonl"), encoding="utf16").to_arrow()["a"].to_pylist() == ["é", "ü"]
