"""Relation: what rows are read from: a table, a query or a stored procedure, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any
from uuid import UUID

from refrain.errors import UserError, known

_MOST_PARTS = 2


class ParameterType(str, Enum):
    """The types of a stored procedure's parameters, in Azure ML's words."""

    STRING = "String"
    INT = "Int"
    DECIMAL = "Decimal"
    GUID = "Guid"
    BOOLEAN = "Boolean"
    DATE = "Date"


@dataclass(frozen=True)
class SqlTable:
    """A table or view.

    :param name: ``table`` or ``schema.table``.
    :raises UserError: for a name with more parts, or an empty one.
    """

    name: str

    def __post_init__(self) -> None:
        parts = self.name.split(".") if isinstance(self.name, str) else []
        if not 1 <= len(parts) <= _MOST_PARTS or not all(parts) or "\0" in self.name:
            raise UserError(f"{self.name!r} names no table; write 'table' or 'schema.table'.")

    @property
    def schema(self) -> str | None:
        """The schema; None for the one that the account looks into first."""
        return self.name.split(".")[0] if "." in self.name else None

    @property
    def table(self) -> str:
        """The name without the schema."""
        return self.name.split(".")[-1]


@dataclass(frozen=True)
class SqlQuery:
    """A query."""

    text: str


@dataclass(frozen=True)
class SqlArgument:
    """The value of a stored procedure's parameter.

    :param value: as text; None for no value.
    """

    name: str
    value: str | None
    type: ParameterType = ParameterType.STRING

    def bound(self) -> Any:
        """Return the value as it is bound.

        :raises UserError: when the text is no value of the type.
        """
        if self.value is None:
            return None
        try:
            return _READERS[self.type](self.value)
        except (ValueError, KeyError, InvalidOperation) as error:
            raise UserError(f"Parameter {self.name!r}: {self.value!r} is no {self.type.value}.") from error


@dataclass(frozen=True)
class SqlProcedure:
    """A stored procedure that gives rows; on PostgreSQL a function."""

    name: str
    arguments: tuple[SqlArgument, ...] = ()

    def __post_init__(self) -> None:
        _ = SqlTable(self.name)  # the same rule for names


Relation = SqlTable | SqlQuery | SqlProcedure


@dataclass(frozen=True)
class SqlSource:
    """A relation of a datastore."""

    datastore: str
    relation: Relation


def parameter_type(value: object, what: str) -> ParameterType:
    """Return a parameter's type, given one, its word in any case, or None for texts.

    :raises UserError: for another.
    """
    if value is None:
        return ParameterType.STRING
    text = str(value.value if isinstance(value, Enum) else value).lower()
    found = next((kind for kind in ParameterType if kind.value.lower() == text), None)
    if found is None:
        raise UserError(f"{what}: the type {value!r} is not one of {known(kind.value for kind in ParameterType)}.")
    return found


def _date(text: str) -> date | datetime:
    return datetime.fromisoformat(text) if len(text) > len("2020-01-31") else date.fromisoformat(text)


def _boolean(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


_READERS: dict[ParameterType, Callable[[str], Any]] = {
    ParameterType.STRING: str,
    ParameterType.INT: int,
    ParameterType.DECIMAL: Decimal,
    ParameterType.GUID: lambda text: str(UUID(text)),
    ParameterType.BOOLEAN: _boolean,
    ParameterType.DATE: _date,
}
