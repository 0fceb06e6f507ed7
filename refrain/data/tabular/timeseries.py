"""Time series: which columns say when, and what a bound on them means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from refrain.data.tabular.expression import Expression, column
from refrain.errors import DatasetTimestampMissingError, UserError

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class TimestampColumns:
    """The columns that say when a row happened.

    :param timestamp: the fine one.
    :param partition: a coarse one, usually the month or day in the path.
    :raises UserError: for a coarse column without a fine one, or twice the same.
    """

    timestamp: str | None = None
    partition: str | None = None

    def __post_init__(self) -> None:
        if self.partition and not self.timestamp:
            raise UserError("with_timestamp_columns: partition_timestamp needs a timestamp column beside it.")
        if self.partition and self.partition == self.timestamp:
            raise UserError(
                f"with_timestamp_columns: {self.timestamp!r} is both columns; give partition_timestamp another."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, the fine one first."""
        return tuple(name for name in (self.timestamp, self.partition) if name)

    def condition(self, begin: datetime | None, end: datetime | None, include_boundary: bool) -> Expression:
        """Return the condition of a time range: each bound holds for **both** columns as it is given (Azure ML's rule).

        So a lower bound inside a month leaves out the whole of a monthly partition, which began before it. Microseconds
        of a lower bound are dropped; an upper bound is rounded to the second, half a second upwards.

        :raises DatasetTimestampMissingError: without a timestamp column.
        :raises UserError: when the range ends before it begins.
        """
        if not self.names:
            raise DatasetTimestampMissingError(
                "The dataset does not know which column is its time. Call with_timestamp_columns(timestamp='…') first; "
                "keep_columns and drop_columns forget it."
            )
        begin = None if begin is None else moment(begin).replace(microsecond=0)
        end = None if end is None else _rounded(moment(end))
        if begin is not None and end is not None and begin > end:
            raise UserError(f"The time range ends at {end} before it begins at {begin}. Exchange the two.")
        bounds: list[Expression] = []
        for name in self.names:
            value: Any = column(name)
            if begin is not None:
                bounds.append(value >= begin if include_boundary else value > begin)
            if end is not None:
                bounds.append(value <= end if include_boundary else value < end)
        joined = bounds[0]
        for bound in bounds[1:]:
            joined &= bound
        return joined


def moment(value: Any) -> datetime:
    """Return a date and time without a time zone; one that has a zone is converted to UTC.

    :raises UserError: for anything but a ``datetime``.
    """
    if not isinstance(value, datetime):
        raise UserError(f"{value!r} is no datetime; give one such as datetime(2020, 1, 31).")
    return value if value.tzinfo is None else value.astimezone(timezone.utc).replace(tzinfo=None)


def before_now(delta: Any) -> datetime:
    """Return the moment *delta* ago, in UTC.

    :raises UserError: for anything but a ``timedelta``.
    """
    if not isinstance(delta, timedelta):
        raise UserError(f"{delta!r} is no timedelta; give one such as timedelta(days=7).")
    return moment(datetime.now(timezone.utc) - delta)


def _rounded(value: datetime) -> datetime:
    whole = value.replace(microsecond=0)
    return whole + _SECOND if value.microsecond >= 500_000 else whole
