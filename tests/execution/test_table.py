from __future__ import annotations

from refrain.execution.table import Column, render


def test_columns_are_aligned_and_numbers_stand_to_the_right() -> None:
    columns = (Column("NAME"), Column("SIZE", is_number=True))
    assert render(columns, [("a", "1"), ("longer", "100")]) == ["NAME    SIZE", "a          1", "longer   100"]


def test_a_column_without_text_is_left_out() -> None:
    assert render((Column("A"), Column("EMPTY"), Column("B")), [("1", "", "2")]) == ["A  B", "1  2"]


def test_wide_characters_count_twice() -> None:
    assert render((Column("N"), Column("X")), [("学習", "1"), ("ab", "2")]) == ["N     X", "学習  1", "ab    2"]


def test_a_cell_stays_on_its_line() -> None:
    assert render((Column("A"),), [("one\n  two",)]) == ["A", "one two"]
