"""Metrics on their way out: what a script logs, checked and turned into events."""

from __future__ import annotations

from operator import index

from refrain.runtime.errors import UserErrorException
from refrain.runtime.values import loose_scalar, strict_scalar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Mapping

    from refrain.runtime.events import Event
    from refrain.runtime.values import Scalar


def scalar_event(name: str, value: object, description: str | None, step: object) -> Event:
    """One value of a metric."""
    name = metric_name(name)
    event = _event("metric", name, description, value=loose_scalar(value, name))
    if step is not None:
        event["step"] = _step(step, name)
    return event


def list_events(name: str, values: Iterable[object], description: str | None) -> list[Event]:
    """Several values of one metric, in order; none for an empty list.

    Integers among floats become floats, so that a metric has one type.
    """
    name = metric_name(name)
    scalars = [strict_scalar(value, name) for value in _elements(values, name)]
    if any(isinstance(value, float) for value in scalars):
        scalars = [float(value) if type(value) is int else value for value in scalars]
    return [_event("metric", name, description, value=value) for value in scalars]


def row_event(name: str, columns: Mapping[str, object], description: str | None) -> Event:
    """One row of a table."""
    name = metric_name(name)
    if not columns:
        raise UserErrorException(f"Row of metric '{name}' has no columns. Write run.log_row('{name}', column=value).")
    values = {column: loose_scalar(value, f"{name}.{column}") for column, value in columns.items()}
    return _event("row", name, description, values=values)


def table_events(name: str, columns: Mapping[str, object], description: str | None) -> list[Event]:
    """The rows of a table, given by columns; none where all columns are empty. A scalar is a column of one row."""
    name = metric_name(name)
    if not isinstance(columns, dict) or not columns:
        got = "a dict without columns" if isinstance(columns, dict) else f"a {type(columns).__name__}"
        hint = ": here, value.to_dict('list')" if hasattr(columns, "to_dict") else ", as in {'x': [1, 2], 'y': [3, 4]}"
        raise UserErrorException(f"Table '{name}' got {got}. Give a dict of columns of equal length{hint}.")
    values = {str(column): _column(cells, f"{name}.{column}") for column, cells in columns.items()}
    lengths = {column: len(cells) for column, cells in values.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{column}: {length}" for column, length in lengths.items())
        raise UserErrorException(
            f"Columns of table '{name}' differ in length ({listed}). Pad the short ones with None, or log two tables."
        )
    return [_event("table", name, description, values=values)] if any(lengths.values()) else []


def file_event(kind: str, name: str, artifact: str, description: str | None) -> Event:
    """An image or a document that is kept as *artifact*."""
    return _event(kind, name, description, artifact=artifact)


def metric_name(name: object) -> str:
    """Return *name* as text.

    :raises UserErrorException: if it is empty.
    """
    if name is None or name == "":
        raise UserErrorException("A metric has no name. Write run.log('name', value).")
    return str(name)


def _event(kind: str, name: str, description: str | None, **fields: Any) -> Event:
    event: Event = {"kind": kind, "name": name}
    event.update(fields)
    if description:
        event["description"] = str(description)
    return event


def _elements(values: object, metric: str) -> list[object]:
    try:
        return list(values)  # type: ignore[call-overload, no-any-return]  # asked, not known
    except TypeError:
        raise UserErrorException(
            f"Metric '{metric}' got a {type(values).__name__}, but a list has elements. "
            f"Log one value with run.log('{metric}', ...)."
        ) from None


def _column(cells: object, metric: str) -> list[Scalar]:
    if isinstance(cells, str) or not hasattr(cells, "__iter__") or getattr(cells, "shape", None) == ():
        return [strict_scalar(cells, metric)]
    return [strict_scalar(cell, metric) for cell in _elements(cells, metric)]


def _step(step: object, metric: str) -> int:
    try:
        return index(step)  # type: ignore[arg-type]  # asked, not known
    except TypeError:
        raise UserErrorException(
            f"Step of metric '{metric}' is {step!r}, but steps are counted. Give a whole number, or leave it out."
        ) from None
