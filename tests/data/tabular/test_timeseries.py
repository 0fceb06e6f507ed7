"""The time series trait, with Azure ML's rule that a bound holds for both columns as it is given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from refrain import Dataset
from refrain.data.tabular.dataset import TabularDataset
from refrain.errors import DataError, DatasetTimestampMissingError, UserError

Write = Callable[[str, str], Path]


@pytest.fixture
def weather(tmp_path: Path) -> TabularDataset:
    """One row an hour of 2019-04 to 2019-06, a file a month."""
    moment = datetime(2019, 4, 1)
    while moment < datetime(2019, 7, 1):
        path = tmp_path / f"{moment:%Y/%m}/data.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write("" if file.tell() else "at,degrees\n")
            file.write(f"{moment:%Y-%m-%d %H:%M:%S},{moment.hour}\n")
        moment += timedelta(hours=1)
    read = Dataset.Tabular.from_delimited_files(str(tmp_path), partition_format="/{month:yyyy/MM}/data.csv")
    return read.with_timestamp_columns("at", "month", validate=True)


def count(dataset: TabularDataset) -> int:
    return int(dataset.to_arrow().num_rows)


def test_a_lower_bound_inside_a_month_drops_the_whole_partition_that_began_before_it(weather: TabularDataset) -> None:
    by_both = weather.time_after(datetime(2019, 5, 30))
    by_fine = weather.with_timestamp_columns("at").time_after(datetime(2019, 5, 30))
    assert count(by_fine) == 2 * 24 + 30 * 24  # two days of May, and June
    assert count(by_both) == 30 * 24  # May's partition began before the bound


def test_an_upper_bound_inside_a_month_does_not(weather: TabularDataset) -> None:
    assert count(weather.time_before(datetime(2019, 5, 2), include_boundary=False)) == 30 * 24 + 24


def test_a_range_has_both_bounds(weather: TabularDataset) -> None:
    between = weather.time_between(datetime(2019, 5, 1), datetime(2019, 5, 31, 23))
    assert count(between) == 31 * 24


def test_boundaries_are_in_or_out(weather: TabularDataset) -> None:
    fine = weather.with_timestamp_columns("at")
    assert count(fine.time_after(datetime(2019, 6, 30, 23))) == 1
    assert count(fine.time_after(datetime(2019, 6, 30, 23), include_boundary=False)) == 0


def test_microseconds_are_dropped_below_and_rounded_above(weather: TabularDataset) -> None:
    fine = weather.with_timestamp_columns("at")
    assert count(fine.time_after(datetime(2019, 6, 30, 23, 0, 0, 999_999))) == 1
    assert count(fine.time_before(datetime(2019, 4, 1, 0, 59, 59, 499_999))) == 1
    assert count(fine.time_before(datetime(2019, 4, 1, 0, 59, 59, 500_000))) == 2


def test_a_zone_is_converted_to_utc(weather: TabularDataset) -> None:
    begin = datetime(2019, 7, 1, 0, 0, tzinfo=timezone(timedelta(hours=2)))
    assert count(weather.with_timestamp_columns("at").time_after(begin)) == 2


def test_recent_is_before_now(weather: TabularDataset) -> None:
    assert count(weather.time_recent(timedelta(days=1))) == 0
    assert count(weather.time_recent(timedelta(days=365 * 1000))) == count(weather)


def test_only_the_partitions_in_the_range_are_read(weather: TabularDataset, tmp_path: Path) -> None:
    (tmp_path / "2019/06/data.csv").write_text("at,degrees\n2019-06-01 00:00:00,1,ragged\n")
    assert count(weather.time_before(datetime(2019, 5, 31, 23))) == (30 + 31) * 24


def test_the_frame_is_indexed_by_the_timestamp_and_keeps_it(weather: TabularDataset) -> None:
    frame = weather.time_before(datetime(2019, 4, 2), include_boundary=False).to_pandas_dataframe()
    assert list(frame.columns) == ["at", "degrees", "month"]
    assert frame.loc["2019-04-01 05:00":"2019-04-01 06:00", "degrees"].tolist() == [5, 6]


def test_choosing_columns_forgets_the_trait(weather: TabularDataset) -> None:
    assert weather.timestamp_columns == ("at", "month")
    assert weather.keep_columns(["at", "month"]).timestamp_columns == (None, None)
    with pytest.raises(DatasetTimestampMissingError, match=r"with_timestamp_columns\(timestamp='…'\) first"):
        weather.drop_columns("degrees").time_after(datetime(2019, 5, 1))


def test_wrong_uses_are_named(weather: TabularDataset) -> None:
    with pytest.raises(UserError, match="partition_timestamp needs a timestamp"):
        weather.with_timestamp_columns(partition_timestamp="month")
    with pytest.raises(UserError, match="'at' is both columns"):
        weather.with_timestamp_columns("at", "at")
    with pytest.raises(DataError, match="no column 'when'"):
        weather.with_timestamp_columns("when", validate=True)
    with pytest.raises(DataError, match="'degrees' holds no dates but int64"):
        weather.with_timestamp_columns("degrees", validate=True)
    with pytest.raises(UserError, match="ends at 2019-04-01 00:00:00 before it begins"):
        weather.time_between(datetime(2019, 5, 1), datetime(2019, 4, 1))
    with pytest.raises(UserError, match="'2019' is no datetime"):
        weather.time_after("2019")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="7 is no timedelta"):
        weather.time_recent(7)  # type: ignore[arg-type]


def test_a_bound_is_in_utc_where_the_column_has_a_zone(tmp_path: Path) -> None:
    moments = pa.array(
        [datetime(2020, 1, 1, hour, tzinfo=timezone.utc) for hour in range(4)], pa.timestamp("us", "UTC")
    )
    pq.write_table(pa.table({"at": moments.cast(pa.timestamp("ms", "Europe/Berlin"))}), tmp_path / "a.parquet")
    read = Dataset.Tabular.from_parquet_files(str(tmp_path)).with_timestamp_columns("at", validate=True)
    assert count(read.time_between(datetime(2020, 1, 1, 1), datetime(2020, 1, 1, 2))) == 2
    aware = datetime(2020, 1, 1, 3, tzinfo=timezone(timedelta(hours=1)))
    assert count(read.time_after(aware)) == 2
