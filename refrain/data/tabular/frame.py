"""Frame: a result as a pandas data frame."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from refrain.data.tabular.chunk import OnError
from refrain.errors import DataError

_EARLIEST = datetime(1677, 9, 21, 0, 12, 44)
_LATEST = datetime(2262, 4, 11, 23, 47, 16)


def to_frame(table: Any, timestamp: str | None, out_of_range: OnError) -> Any:
    """Return an Arrow table as a data frame with ``datetime64[ns]`` dates.

    :param timestamp: the column that also becomes the index.
    :raises DataError: for a date that nanoseconds cannot hold, if that is not allowed.
    """
    import pyarrow as pa

    for number, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit != "ns":
            values = _bounded(table.column(number), field.name, out_of_range)
            table = table.set_column(number, field.name, values)
    frame = table.to_pandas(date_as_object=False)
    if timestamp is not None and timestamp in frame.columns:
        frame = frame.set_index(timestamp, drop=False)
        frame.index.name = None  # else the name would mean both the index and the column
    return frame


def _bounded(values: Any, name: str, out_of_range: OnError) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    low, high = (pa.scalar(bound, pa.timestamp("us", values.type.tz)) for bound in (_EARLIEST, _LATEST))
    micro = pc.cast(values, pa.timestamp("us", values.type.tz))
    is_outside = pc.or_(pc.less(micro, low), pc.greater(micro, high))
    if pc.any(is_outside).as_py():
        if out_of_range is OnError.FAIL:
            first = pc.strftime(pc.filter(micro, is_outside).slice(0, 1), "%Y-%m-%d")[0].as_py()
            raise DataError(
                f"Column {name!r} holds {first}, which pandas' nanoseconds cannot hold. "
                "Read with out_of_range_datetime='null' to leave such dates empty."
            )
        micro = pc.if_else(is_outside, pa.scalar(None, micro.type), micro)
    return pc.cast(micro, pa.timestamp("ns", values.type.tz))
