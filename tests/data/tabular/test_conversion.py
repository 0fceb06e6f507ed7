"""Text to values: Arrow's kernels and Python's rules agree, whichever is used for a batch."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refrain.data.tabular.conversion import _fast, _slow, convert
from refrain.data.tabular.types import DataType

KINDS = [
    DataType.to_long(),
    DataType.to_float(),
    DataType.to_bool(),
    DataType.to_datetime(),
    DataType.to_datetime("%d/%m/%Y"),
    DataType.to_datetime("%Y-%m-%d %H:%M"),
]
TEXTS = st.one_of(
    st.text("0123456789+-.eE xXpPinfatyYTZ:/_truefalsno", max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(str),
    st.dates().map(lambda day: f"{day:%d/%m/%Y}"),
    st.text(max_size=4),
)


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, kind=st.sampled_from(KINDS))
@example(text="0x1F", kind=KINDS[0])
@example(text="1_000", kind=KINDS[0])
@example(text="2020-02-30", kind=KINDS[3])
@example(text="31/02/2020", kind=KINDS[4])
@example(text="infinity", kind=KINDS[1])
@example(text="9223372036854775808", kind=KINDS[0])
def test_what_arrow_accepts_python_reads_alike(text: str, kind: DataType) -> None:
    values = pa.array([text])
    try:
        fast = _fast(values, kind)
    except pa.ArrowInvalid:
        return
    slow, _ = _slow(values, kind)
    assert repr(fast.to_pylist()) == repr(slow.to_pylist())


@pytest.mark.parametrize(
    ("kind", "texts", "values"),
    [
        (
            DataType.to_long(),
            ["1", " -2 ", "+3", "1.0", "0x1F", "99999999999999999999", "", None],
            [1, -2, 3] + [None] * 5,
        ),
        (DataType.to_float(), ["1", "+.5", "1e3", "1,5", "", None], [1.0, 0.5, 1000.0, None, None, None]),
        (DataType.to_float(","), ["1,5", "1.5", "-2"], [1.5, None, -2.0]),
        (
            DataType.to_bool(),
            ["true", "F", "YES", "n", "1", "0", "2", None],
            [True, False, True, False, True, False, None, None],
        ),
        (
            DataType.to_datetime(),
            ["2020-01-02", "2020-01-02T03:04:05.678", "2020-01-02 03:04Z", "2020-01-02T03:04:05+02:00", "2020-02-30"],
            [datetime(2020, 1, 2), datetime(2020, 1, 2, 3, 4, 5, 678000), datetime(2020, 1, 2, 3, 4),
             datetime(2020, 1, 2, 1, 4, 5), None],
        ),
        (DataType.to_datetime("%m/%d/%Y %I:%M %p"), ["1/2/2020 3:04 PM"], [datetime(2020, 1, 2, 15, 4)]),
    ],
)  # fmt: skip
def test_texts_become_values_or_null(kind: DataType, texts: list[str | None], values: list[object]) -> None:
    converted, mask = convert(pa.array(texts, pa.string()), kind)
    assert converted.to_pylist() == values
    bad = [value is None and bool((text or "").strip()) for text, value in zip(texts, values, strict=True)]
    assert (mask.to_pylist() if mask is not None else [False] * len(texts)) == bad


def test_many_dates_of_one_format_are_read_by_arrow() -> None:
    kind = DataType.to_datetime("%d/%m/%Y %H:%M:%S")
    assert _fast(pa.array(["3/4/2020 05:06:07", None]), kind).to_pylist() == [datetime(2020, 4, 3, 5, 6, 7), None]
