"""Columns: from what a driver hands over to Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from refrain.errors import DataError

_DECISIVE = 1000  # rows
WIDEST = 76
"""Digits that Arrow's widest decimal holds."""


@dataclass(frozen=True)
class Field:
    """A column of a result.

    :param type: the Arrow type.
    :param product_type: the database's own word or number for the type, for messages.
    """

    name: str
    type: Any
    product_type: str = ""


Row = Sequence[Any]


@dataclass(frozen=True)
class Rows:
    """An open result.

    :param fetch: returns up to so many rows, none at the end.
    """

    fields: tuple[Field, ...]
    fetch: Callable[[int], Sequence[Row]]


def decimal(precision: int, scale: int) -> Any:
    """Return the narrowest Arrow type for a number of so many digits.

    :raises DataError: for more digits than Arrow has.
    """
    import pyarrow as pa

    if not 0 < precision <= WIDEST:
        raise DataError(f"A decimal of {precision} digits is too wide; cast it in the query.")
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def schema_of(fields: Sequence[Field]) -> Any:
    """Return the Arrow schema.

    :raises DataError: for a column without a name, or two of one name.
    """
    import pyarrow as pa

    names = [field.name for field in fields]
    for number, name in enumerate(names, 1):
        if not name:
            raise DataError(f"Column {number} of the result has no name; give it one with AS.")
        if name in names[: number - 1]:
            raise DataError(f"The result has two columns {name!r}; rename one with AS.")
    return pa.schema([(field.name, field.type) for field in fields])


def inferred(names: Sequence[str], fetch: Callable[[int], Sequence[Row]]) -> Rows:
    """Return a result whose first rows decide the types of its columns, for databases that do not tell."""
    waiting = list(fetch(_DECISIVE))
    fields = tuple(Field(name, _inferred([row[at] for row in waiting])) for at, name in enumerate(names))

    def fetch_all(count: int) -> Sequence[Row]:
        if not waiting:
            return fetch(count)
        first = waiting[:count]
        del waiting[:count]
        return first

    return Rows(fields, fetch_all)


def _inferred(values: Sequence[Any]) -> Any:
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return pa.float64()
    if len(kinds) != 1:
        return pa.string()
    if kinds == {Decimal}:
        return decimal(WIDEST, WIDEST // 2)
    return pa.array([value for value in values if value is not None]).type


def to_batch(rows: Sequence[Row], fields: Sequence[Field]) -> Any:
    """Return rows as an Arrow record batch.

    :raises DataError: for a value that its column's type does not hold; the message shows column and type only, and
        the first words of Arrow.
    """
    import pyarrow as pa

    values: Iterable[Any] = zip(*rows, strict=True) if rows else ((),) * len(fields)
    arrays = [_array(column, field) for column, field in zip(values, fields, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema_of(fields))


def _array(values: Sequence[Any], field: Field) -> Any:
    import pyarrow as pa

    try:
        if _is_text(values) and not pa.types.is_string(field.type):
            return _parsed(pa.array(values, pa.string()), field.type)
        return pa.array(values, field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"Column {field.name!r} holds what {field.type} cannot hold ({error}). Cast it in the query, for instance "
            "to text."
        ) from error


def _is_text(values: Sequence[Any]) -> bool:
    return isinstance(next((value for value in values if value is not None), None), str)


def _parsed(texts: Any, target: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_time(target):
        # Arrow reads no times of a day by themselves.
        return pc.cast(pc.cast(pc.binary_join_element_wise("1970-01-01", texts, " "), pa.timestamp("us")), target)
    if pa.types.is_timestamp(target) and target.tz:
        # Our sessions are in UTC: PostgreSQL says so behind every value, MySQL does not.
        texts = pc.replace_substring_regex(texts, r"\+00(:00)?$", "")
        return pc.cast(pc.cast(texts, pa.timestamp("us")), target)
    return pc.cast(texts, target)
