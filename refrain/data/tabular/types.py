"""DataType: what a column's values are converted to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from refrain.errors import UserError, known


class Kind(str, Enum):
    """The types that a column can have, in Azure ML's words."""

    STRING = "string"
    LONG = "long"  # 64 bits, signed
    FLOAT = "float"  # 64 bits
    BOOL = "bool"
    DATETIME = "datetime"  # without a time zone: one that is written is converted to UTC


@dataclass(frozen=True)
class DataType:
    """A column's type, made by the ``to_*`` methods.

    :param formats: of ``datetime.strptime``, tried in this order; empty means ISO 8601.
    """

    kind: Kind
    formats: tuple[str, ...] = ()
    decimal_mark: str = "."

    @staticmethod
    def to_string() -> DataType:
        """Keep the text."""
        return DataType(Kind.STRING)

    @staticmethod
    def to_long() -> DataType:
        """Convert to 64 bit integers."""
        return DataType(Kind.LONG)

    @staticmethod
    def to_float(decimal_mark: str = ".") -> DataType:
        """Convert to 64 bit floating point numbers.

        :raises UserError: for a decimal mark other than ``.`` and ``,``.
        """
        if decimal_mark not in {".", ","}:
            raise UserError(f"DataType.to_float: decimal_mark {decimal_mark!r} is not one of '.' and ','.")
        return DataType(Kind.FLOAT, decimal_mark=decimal_mark)

    @staticmethod
    def to_bool() -> DataType:
        """Convert true/false, t/f, yes/no, y/n and 1/0, in any case."""
        return DataType(Kind.BOOL)

    @staticmethod
    def to_datetime(formats: str | Iterable[str] | None = None) -> DataType:
        """Convert to dates with times.

        :param formats: of ``datetime.strptime``, the first that fits a value is used; None means ISO 8601.
        """
        chosen = (formats,) if isinstance(formats, str) else tuple(formats or ())
        if not all(isinstance(text, str) and "%" in text for text in chosen):
            raise UserError(f"DataType.to_datetime: {formats!r} holds no formats such as '%Y-%m-%d'.")
        return DataType(Kind.DATETIME, chosen)

    def to_json(self) -> dict[str, Any]:
        """Return the type as JSON values."""
        return {"kind": self.kind.value, "formats": list(self.formats), "decimal_mark": self.decimal_mark}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> DataType:
        """Read what :meth:`to_json` wrote."""
        return DataType(Kind(value["kind"]), tuple(value["formats"]), value["decimal_mark"])

    def arrow(self) -> Any:
        """Return the Arrow type."""
        import pyarrow as pa

        return {
            Kind.STRING: pa.string(),
            Kind.LONG: pa.int64(),
            Kind.FLOAT: pa.float64(),
            Kind.BOOL: pa.bool_(),
            Kind.DATETIME: pa.timestamp("us"),
        }[self.kind]


ColumnTypes = tuple[tuple[str, DataType], ...]


def column_types(given: Mapping[str, DataType] | None, what: str) -> ColumnTypes:
    """Check what a user gave as ``set_column_types``.

    :raises UserError: when it is no dictionary of column names to data types.
    """
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise UserError(f"{what}: set_column_types is no dictionary, as in {{'age': DataType.to_long()}}.")
    for name, value in given.items():
        if not isinstance(name, str) or not isinstance(value, DataType):
            kinds = known(f"DataType.to_{kind.value}()" for kind in Kind)
            raise UserError(f"{what}: set_column_types has {name!r}: {value!r}. Give one of {kinds}.")
    return tuple(given.items())
