"""Operations of a tabular dataset: values that say what to do, and what keeps count while rows stream through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from refrain.data.tabular.expression import Expression, missing_column
from refrain.data.tabular.sampling import salt, shares


class Running(Protocol):
    """An operation during one evaluation."""

    def apply(self, table: Any) -> Any:
        """Return what becomes of the next rows."""

    @property
    def is_done(self) -> bool:
        """Say whether no further row can come out."""


@dataclass(frozen=True)
class KeepColumns:
    """Only these columns, in this order."""

    columns: tuple[str, ...]

    def apply(self, table: Any) -> Any:
        """Return what becomes of the next rows."""
        for name in self.columns:
            if name not in table.column_names:
                raise missing_column(name, table.column_names)
        return table.select(list(self.columns))

    def begin(self, depth: int) -> Running:  # noqa: ARG002  # the place matters to those that draw
        """Return this operation for one evaluation."""
        return _Stateless(self.apply)


@dataclass(frozen=True)
class DropColumns:
    """All but these columns."""

    columns: tuple[str, ...]

    def apply(self, table: Any) -> Any:
        """Return what becomes of the next rows; a column that was not even read is no error."""
        return table.select([name for name in table.column_names if name not in self.columns])

    def begin(self, depth: int) -> Running:  # noqa: ARG002  # the place matters to those that draw
        """Return this operation for one evaluation."""
        return _Stateless(self.apply)


@dataclass(frozen=True)
class Filter:
    """Rows for which a condition is true."""

    condition: Expression

    def apply(self, table: Any) -> Any:
        """Return what becomes of the next rows."""
        return table.filter(self.condition.evaluate(table))

    def begin(self, depth: int) -> Running:  # noqa: ARG002  # the place matters to those that draw
        """Return this operation for one evaluation."""
        return _Stateless(self.apply)


@dataclass(frozen=True)
class Rows:
    """Rows by their place: the first ``take`` (None: all) after the first ``skip``."""

    skip: int = 0
    take: int | None = None

    def begin(self, depth: int) -> Running:  # noqa: ARG002  # the place matters to those that draw
        """Return this operation for one evaluation."""
        return _Counting(self.skip, self.take)


@dataclass(frozen=True)
class Sample:
    """Rows whose number is in ``low <= number < high``; 0 to p and p to 1 are a split without overlap or loss."""

    low: float
    high: float
    seed: int

    def begin(self, depth: int) -> Running:
        """Return this operation for one evaluation."""
        return _Drawing(self.low, self.high, salt(self.seed, depth))


Operation = KeepColumns | DropColumns | Filter | Rows | Sample


def to_json(operation: Operation) -> dict[str, Any]:
    """Return an operation as JSON values."""
    match operation:
        case KeepColumns(columns):
            return {"operation": "keep_columns", "columns": list(columns)}
        case DropColumns(columns):
            return {"operation": "drop_columns", "columns": list(columns)}
        case Filter(condition):
            return {"operation": "filter", "condition": condition.to_json()}
        case Rows(skip, take):
            return {"operation": "rows", "skip": skip, "take": take}
        case Sample(low, high, seed):
            return {"operation": "sample", "low": low, "high": high, "seed": seed}


def from_json(value: Mapping[str, Any]) -> Operation:
    """Read what :func:`to_json` wrote."""
    match value["operation"]:
        case "keep_columns":
            return KeepColumns(tuple(value["columns"]))
        case "drop_columns":
            return DropColumns(tuple(value["columns"]))
        case "filter":
            return Filter(Expression.from_json(value["condition"]))
        case "rows":
            return Rows(value["skip"], value["take"])
    return Sample(value["low"], value["high"], value["seed"])


@dataclass
class _Stateless:
    apply: Any
    is_done: bool = False


class _Counting:
    def __init__(self, skip: int, take: int | None) -> None:
        self._skip = skip
        self._left = take

    def apply(self, table: Any) -> Any:
        skipped = min(self._skip, table.num_rows)
        self._skip -= skipped
        kept = table.slice(skipped, self._left)
        if self._left is not None:
            self._left -= kept.num_rows
        return kept

    @property
    def is_done(self) -> bool:
        return self._left == 0


class _Drawing:
    def __init__(self, low: float, high: float, start: int) -> None:
        self._low, self._high, self._start = low, high, start
        self._seen = 0
        self.is_done = low >= high

    def apply(self, table: Any) -> Any:
        import pyarrow as pa

        numbers = shares(self._seen, table.num_rows, self._start)
        self._seen += table.num_rows
        return table.filter(pa.array((numbers >= self._low) & (numbers < self._high)))
