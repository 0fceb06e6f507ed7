"""RowsDigest: the same for the same rows, and for no others."""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from refrain.storage.sql.rows_digest import RowsDigest


def digest(table, is_ordered=False, size=None):
    made = RowsDigest(table.schema, is_ordered)
    for batch in table.to_batches(max_chunksize=size):
        made.add(batch)
    return made.hexdigest()


TABLE = pa.table({"a": [1, 2, 2, None], "b": ["x", "", None, "x"]})


def test_the_digests_have_not_changed():
    """A change here makes every step run once more that reads a database."""
    assert digest(TABLE) == "6dbd116120976f69a27283c0beeb7bc8a635d33c84c60327b5f77deb42139c36"
    assert digest(TABLE, is_ordered=True) == "14f63e2110fbc1e66942b22d8d5c0e2201b108b0264711dbeaa085dfb61f044a"


@pytest.mark.parametrize("is_ordered", [True, False])
def test_it_does_not_matter_how_rows_are_cut(is_ordered):
    assert digest(TABLE, is_ordered, 1) == digest(TABLE, is_ordered, 3) == digest(TABLE, is_ordered)


def test_the_order_counts_only_where_it_is_promised():
    other = TABLE.take([3, 1, 0, 2])
    assert digest(other) == digest(TABLE)
    assert digest(other, is_ordered=True) != digest(TABLE, is_ordered=True)


@pytest.mark.parametrize(
    "other",
    [
        TABLE.slice(1),
        pa.concat_tables([TABLE, TABLE]),
        TABLE.rename_columns(["a", "c"]),
        TABLE.select(["b", "a"]),
        TABLE.set_column(0, "a", pa.array([1, 2, 2, None], pa.int32())),
        TABLE.set_column(0, "a", pa.array([1, 2, 2, 0])),
        TABLE.set_column(1, "b", pa.array(["x", None, None, "x"])),
        pa.table({"a": [1, 2, None, 2], "b": ["x", "", "x", "x"]}),
    ],
)
@pytest.mark.parametrize("is_ordered", [True, False])
def test_every_difference_counts(other, is_ordered):
    assert digest(other, is_ordered) != digest(TABLE, is_ordered)


def test_two_rows_twice_are_not_two_other_rows_twice():
    """A sum without a count, or by exclusive or, would take them for the same."""
    one, two = pa.table({"a": [1, 1]}), pa.table({"a": [2, 2]})
    assert digest(one) != digest(two)
    assert digest(pa.table({"a": [1, 1, 2]})) != digest(pa.table({"a": [2, 2, 1]}))


def test_values_cannot_be_shifted_between_columns():
    left, right = pa.table({"a": ["1:x", "-"], "b": ["", "y"]}), pa.table({"a": ["1:", "-"], "b": ["x", "y"]})
    assert digest(left) != digest(right)
    assert digest(pa.table({"a": ["-"]})) != digest(pa.table({"a": pa.array([None], pa.string())}))


def test_all_types_of_databases_can_be_told():
    table = pa.table(
        {
            "float": [0.1, math.nan],
            "bytes": [b"\x00\xff", None],
            "decimal": pa.array([Decimal("1.50"), None], pa.decimal256(76, 38)),
            "moment": pa.array([datetime(2020, 1, 1), None], pa.timestamp("us", "UTC")),
            "day": pa.array([1, None], pa.int32()).cast(pa.date32()),
            "time": pa.array([1, None], pa.int64()).cast(pa.time64("us")),
            "flag": [True, None],
            "nothing": pa.nulls(2),
        }
    )
    assert digest(table) == digest(table.take([1, 0])) != digest(table.slice(1))


def test_no_rows_are_something_too():
    assert digest(TABLE.slice(0, 0)) != digest(TABLE.select(["a"]).slice(0, 0))
