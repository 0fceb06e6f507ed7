from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from refrain.runtime.parallel.results import is_counted, rows_of


@pytest.mark.parametrize("result", [[], (), [1], pd.DataFrame(), np.array([1, 2])])
def test_lists_tuples_arrays_and_frames_are_counted(result: object) -> None:
    assert is_counted(result)


@pytest.mark.parametrize("result", [None, 7, "text", {"a": 1}, {1, 2}, np.array(3), pd.Series([1]), iter([1])])
def test_nothing_else_is(result: object) -> None:
    assert not is_counted(result)


def test_each_element_is_a_line() -> None:
    assert rows_of(["a.png: 7", 1.5, None, ("x", 1), "é"]) == "a.png: 7\n1.5\nNone\n('x', 1)\né\n".encode()


def test_a_name_that_is_no_unicode_comes_out_as_it_was() -> None:
    assert rows_of(["\udcff.csv"]) == b"\xff.csv\n"


def test_the_rows_of_a_frame_are_separated_by_spaces_without_header_and_index() -> None:
    frame = pd.DataFrame({"store": [2, 5], "week": pd.to_datetime(["2024-01-01", "2024-01-08"]), "sold": [1.5, None]})
    assert rows_of(frame) == b"2 2024-01-01 1.5\n5 2024-01-08 \n"


def test_a_value_with_a_space_is_quoted() -> None:
    assert rows_of(pd.DataFrame({"brand": ["minute maid", "dominicks"]})) == b'"minute maid"\ndominicks\n'


def test_an_empty_frame_has_no_rows() -> None:
    assert rows_of(pd.DataFrame({"a": []})) == b""
