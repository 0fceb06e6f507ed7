"""Table: rows in aligned columns, as plain text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from refrain.values import dataclass

_GAP = "  "


@dataclass(frozen=True)
class Column:
    """A heading and how its cells are aligned; numbers stand to the right."""

    title: str
    is_number: bool = False


def render(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, headings first; a column without any cell text is left out."""
    cells = [tuple(" ".join(cell.split()) for cell in row) for row in rows]
    used = [i for i in range(len(columns)) if any(row[i] for row in cells)]
    table = [tuple(column.title for column in columns), *cells]
    widths = {i: max(_width(row[i]) for row in table) for i in used}
    return [_GAP.join(_padded(row[i], widths[i], columns[i].is_number) for i in used).rstrip() for row in table]


def _padded(cell: str, width: int, is_number: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if is_number else cell + space


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)
