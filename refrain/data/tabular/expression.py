"""Expression: a condition on columns, built with operators, kept as data, never evaluated as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any

from refrain.errors import DataError, UserError, did_you_mean, known

_COMPARISONS = {
    "==": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}
_FLAGS = (bool, int, float, str, datetime, date)


@dataclass(frozen=True, eq=False)
class Expression:
    """A condition or a column: ``dataset['age'] > 3``, joined by ``&``, ``|`` and ``~``.

    A comparison with an empty value is neither true nor false, and a row is kept only where the condition is true
    (SQL's rule).

    :param operator: a comparison, ``and``, ``or``, ``not``, ``column``, ``literal``, ``is_null``, ``in`` or
        ``starts_with``.
    """

    operator: str
    parts: tuple[Any, ...]

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]  # builds a condition, as in Azure ML
        return self._compared("==", other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]  # builds a condition, as in Azure ML
        return self._compared("!=", other)

    def __lt__(self, other: object) -> Expression:
        return self._compared("<", other)

    def __le__(self, other: object) -> Expression:
        return self._compared("<=", other)

    def __gt__(self, other: object) -> Expression:
        return self._compared(">", other)

    def __ge__(self, other: object) -> Expression:
        return self._compared(">=", other)

    def __and__(self, other: Expression) -> Expression:
        return Expression("and", (condition(self), condition(other)))

    def __or__(self, other: Expression) -> Expression:
        return Expression("or", (condition(self), condition(other)))

    def __invert__(self) -> Expression:
        return Expression("not", (condition(self),))

    def __hash__(self) -> int:
        return hash((self.operator, self.parts))

    def __bool__(self) -> bool:
        raise UserError(
            "A filter condition has no truth value here: join conditions with & | ~ and put each in parentheses."
        )

    def is_null(self) -> Expression:
        """Return the condition that this column's value is empty."""
        return Expression("is_null", (self,))

    def is_in(self, values: Iterable[Any]) -> Expression:
        """Return the condition that this column's value is one of *values*."""
        return Expression("in", (self, *(_operand(value) for value in values)))

    def starts_with(self, prefix: str) -> Expression:
        """Return the condition that this column's text begins with *prefix*."""
        return Expression("starts_with", (self, _operand(prefix)))

    def _compared(self, operator: str, other: object) -> Expression:
        return Expression(operator, (self, _operand(other)))

    def columns(self) -> set[str]:
        """Return the names of the columns that decide."""
        if self.operator == "column":
            return {self.parts[0]}
        return set().union(*(part.columns() for part in self.parts if isinstance(part, Expression)))

    def to_json(self) -> list[Any]:
        """Return the expression as JSON values."""
        return [self.operator, *(_part_to_json(part) for part in self.parts)]

    @staticmethod
    def from_json(value: list[Any]) -> Expression:
        """Read what :meth:`to_json` wrote."""
        operator, *parts = value
        if operator in {"column", "literal"}:
            return Expression(operator, tuple(_literal_from_json(part) for part in parts))
        return Expression(operator, tuple(Expression.from_json(part) for part in parts))

    def __repr__(self) -> str:
        if self.operator in {"column", "literal"}:
            return f"dataset[{self.parts[0]!r}]" if self.operator == "column" else repr(self.parts[0])
        if self.operator in _COMPARISONS:
            return f"({self.parts[0]!r} {self.operator} {self.parts[1]!r})"
        return f"{self.operator}({', '.join(map(repr, self.parts))})"

    def evaluate(self, table: Any) -> Any:
        """Return the Arrow array of this expression's values for a table.

        :raises DataError: for a missing column, or values that cannot be compared.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.operator == "column":
            return _column(table, self.parts[0])
        if self.operator == "literal":
            return pa.scalar(self.parts[0])
        try:
            values = [part.evaluate(table) for part in self.parts]
            if self.operator == "in":
                return pc.is_in(values[0], value_set=pa.array([value.as_py() for value in values[1:]], values[0].type))
            if self.operator == "starts_with":
                return pc.starts_with(values[0], pattern=values[1].as_py())
            return getattr(pc, _kernel(self.operator))(*_alike(values))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            kinds = known(f"{name!r} is {table.schema.field(name).type}" for name in self.columns())
            raise DataError(
                f"The filter {self!r} cannot be evaluated: {kinds}. Compare like with like, or set the column's type "
                "with set_column_types."
            ) from error


def column(name: str) -> Expression:
    """Return the expression that stands for a column."""
    return Expression("column", (name,))


def condition(value: object) -> Expression:
    """Return *value* if it can be a condition.

    :raises UserError: otherwise.
    """
    if not isinstance(value, Expression) or value.operator == "literal":
        raise UserError(f"{value!r} is no condition; write one such as dataset['age'] > 3.")
    return value


def missing_column(name: str, names: Iterable[str]) -> DataError:
    """Return the error of a column that is not there."""
    present = list(names)
    return DataError(
        f"The dataset has no column {name!r}. Columns: {', '.join(present) or 'none'}.{did_you_mean(name, present)}"
    )


def _column(table: Any, name: str) -> Any:
    if name not in table.column_names:
        raise missing_column(name, table.column_names)
    return table.column(name)


def _alike(values: list[Any]) -> list[Any]:
    """Take literal moments in the time zone of the column, if it has one; those without a zone are UTC."""
    import pyarrow as pa

    moments = [value for value in values if pa.types.is_timestamp(value.type)]
    zone = next((value.type.tz for value in moments if value.type.tz and not isinstance(value, pa.Scalar)), None)
    if zone is None:
        return values
    return [_in_zone(value, zone) if isinstance(value, pa.TimestampScalar) else value for value in values]


def _in_zone(value: Any, zone: str) -> Any:
    import pyarrow as pa

    moment = value.as_py()
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return pa.scalar(moment, pa.timestamp("us", zone))


def _kernel(operator: str) -> str:
    return {**_COMPARISONS, "and": "and_kleene", "or": "or_kleene", "not": "invert", "is_null": "is_null"}[operator]


def _operand(value: object) -> Expression:
    if isinstance(value, Expression):
        return value
    if value is None:
        raise UserError("Nothing equals an empty value; ask with dataset['column'].is_null().")
    if not isinstance(value, _FLAGS):
        raise UserError(f"A filter cannot compare with {value!r}: give a number, a text, a truth value or a date.")
    return Expression("literal", (value,))


def _part_to_json(part: Any) -> Any:
    if isinstance(part, Expression):
        return part.to_json()
    if isinstance(part, datetime):
        return {"datetime": part.isoformat()}
    return {"date": part.isoformat()} if isinstance(part, date) else part


def _literal_from_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return datetime.fromisoformat(value["datetime"]) if "datetime" in value else date.fromisoformat(value["date"])
    return value
