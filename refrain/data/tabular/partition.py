"""PartitionFormat: columns that a file's path holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from refrain.data.tabular.types import DataType
from refrain.errors import DataError, UserError

_TOKEN = re.compile(r"\{\{|\}\}|\{(?P<key>[^{}:]+)(?::(?P<date>[^{}]+))?\}|\*|[{}]")
_DATE_PARTS = {"yyyy": 4, "MM": 2, "dd": 2, "HH": 2, "mm": 2, "ss": 2}
_DATE_TOKEN = re.compile("|".join(_DATE_PARTS))


@dataclass(frozen=True)
class PartitionFormat:
    """A format such as ``/{country}/{day:yyyy/MM/dd}/*.parquet``, matched from its first key to the end of a path.

    ``{name}`` is a text without ``/``; ``{name:…}`` one date, of yyyy, MM, dd, HH, mm and ss, of which yyyy must be
    there; ``*`` matches within one folder; ``{{`` and ``}}`` are braces.

    :raises UserError: for a format without keys, with a key twice, or a date without yyyy.
    """

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.keys:
            raise UserError(f"partition_format {self.text!r} names no column; write one such as '/{{country}}/*.csv'.")
        if len(set(self.keys)) != len(self.keys):
            raise UserError(f"partition_format {self.text!r} names a column twice.")
        _ = self._pattern

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The columns' names, in the order of the path."""
        return tuple(match["key"] for match in _TOKEN.finditer(self.text) if match["key"])

    @cached_property
    def dates(self) -> tuple[str, ...]:
        """The names of those columns that are dates."""
        return tuple(match["key"] for match in _TOKEN.finditer(self.text) if match["date"])

    def types(self) -> dict[str, DataType]:
        """Return each column's type."""
        return {key: DataType.to_datetime() if key in self.dates else DataType.to_string() for key in self.keys}

    def values(self, path: str) -> dict[str, Any]:
        """Return what a file's path says.

        :raises DataError: when it does not have the format, or holds a date that does not exist.
        """
        match = self._pattern.search(path)
        if match is None:
            raise DataError(
                f"The path {path!r} does not end as partition_format {self.text!r} says. Correct the format, or leave "
                "the file out with a narrower path."
            )
        return {key: self._value(match, number, key, path) for number, key in enumerate(self.keys)}

    def _value(self, match: re.Match[str], number: int, key: str, path: str) -> Any:
        if key not in self.dates:
            return match[f"k{number}"]
        parts: dict[str, int] = {
            name: int(match[f"k{number}{name}"]) for name in _DATE_PARTS if f"k{number}{name}" in match.groupdict()
        }
        try:
            return datetime(
                parts["yyyy"],
                parts.get("MM", 1),
                parts.get("dd", 1),
                parts.get("HH", 0),
                parts.get("mm", 0),
                parts.get("ss", 0),
            )
        except ValueError as error:
            raise DataError(f"The path {path!r} holds no date for {key!r} of {self.text!r}: {error}.") from error

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Only what stands from the separator before the first key on must match."""
        made, position, number = [], 0, 0
        for match in _TOKEN.finditer(self.text):
            made.append(re.escape(self.text[position : match.start()]))
            made.append(self._piece(match, number))
            number += bool(match["key"])
            position = match.end()
        made.append(re.escape(self.text[position:]))
        start = "" if self.text.startswith("/") else "(?:^|(?<=/))"
        return re.compile(f"{start}{''.join(made)}$")

    def _piece(self, match: re.Match[str], number: int) -> str:
        found = match.group()
        if match["date"]:
            return self._date(match["date"], number)
        if match["key"]:
            return f"(?P<k{number}>[^/]+)"
        if found in "{}":
            raise UserError(f"partition_format {self.text!r} has a single {found!r}; write {found * 2!r} for a brace.")
        return "[^/]*" if found == "*" else re.escape(found[0])

    def _date(self, text: str, number: int) -> str:
        if "yyyy" not in text:
            raise UserError(f"partition_format {self.text!r}: the date {text!r} has no year; yyyy must be part of it.")
        made, position = [], 0
        for match in _DATE_TOKEN.finditer(text):
            made.append(re.escape(text[position : match.start()]))
            made.append(f"(?P<k{number}{match.group()}>[0-9]{{{_DATE_PARTS[match.group()]}}})")
            position = match.end()
        return "".join([*made, re.escape(text[position:])])
