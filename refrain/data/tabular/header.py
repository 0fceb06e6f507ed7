"""Header: which names the columns of delimited files have, and where each file keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from refrain.data.tabular.promotion import PromoteHeadersBehavior
from refrain.errors import DataError

_Behavior = PromoteHeadersBehavior


@dataclass(frozen=True)
class Layout:
    """How one file is read.

    :param width: values in each row.
    :param positions: the place of each column of the dataset in a row, None where the file does not have it.
    :param skips_first: the first row is no data.
    :param note: what a user should know of it.
    """

    width: int
    positions: dict[str, int | None]
    skips_first: bool
    note: str = ""


def names_of(header: Sequence[str]) -> tuple[str, ...]:
    """Return column names for a header: an empty one becomes ``Column<n>``, a repeated one gets ``_1`` and so on."""
    names: list[str] = []
    for number, text in enumerate(header, 1):
        name = text.strip() or f"Column{number}"
        taken, again = name, 0
        while taken in names:
            again += 1
            taken = f"{name}_{again}"
        names.append(taken)
    return tuple(names)


def numbered(width: int) -> tuple[str, ...]:
    """Return the names of columns that have none."""
    return tuple(f"Column{number}" for number in range(1, width + 1))


def layout(columns: tuple[str, ...], first_row: Sequence[str], file: tuple[str, int], rule: _Behavior) -> Layout:
    """Decide how a file is read.

    Where all files are said to have the same header, the first file's header decides (Azure ML's rule) and the rows of
    a later file are taken by position, so that data without a header works too. A later header that has known names in
    other places, or another number of them, is taken by name: what it lacks is empty, what it adds is left out.

    :param first_row: of this file.
    :param file: its address and its number, from 0.
    :raises DataError: when the file's columns cannot be matched.
    """
    address, number = file
    by_position = {name: position for position, name in enumerate(columns)}
    if rule is _Behavior.NO_HEADERS:
        return Layout(_same_width(columns, first_row, address), dict(by_position), skips_first=False)
    if rule is _Behavior.ONLY_FIRST_FILE_HAS_HEADERS:
        return Layout(_same_width(columns, first_row, address), dict(by_position), skips_first=number == 0)
    header = names_of(first_row)
    raw = [text.strip() for text in first_row]
    if rule is _Behavior.ALL_FILES_HAVE_SAME_HEADERS and not _is_by_name(columns, header, raw):
        note = (
            ""
            if header == columns
            else f"{address!r}: the first line {raw[:5]} is not the first file's header; skipped."
        )
        return Layout(_same_width(columns, first_row, address), dict(by_position), skips_first=True, note=note)
    extra = [name for name in header if name not in columns]
    note = (
        f"{address!r} has columns that the first file has not: {', '.join(extra)}. They are left out; "
        "header=PromoteHeadersBehavior.COMBINE_ALL_FILES_HEADERS keeps them."
    )
    found = {name: position for position, name in enumerate(header)}
    positions = {name: found.get(name) for name in columns}
    return Layout(len(first_row), positions, skips_first=True, note=note if extra else "")


def _is_by_name(columns: tuple[str, ...], header: tuple[str, ...], raw: list[str]) -> bool:
    if header == columns or len(set(raw)) != len(raw):
        return False
    shared = set(header) & set(columns)
    return set(header) == set(columns) if len(header) == len(columns) else bool(shared)


def _same_width(columns: tuple[str, ...], row: Sequence[str], address: str) -> int:
    if len(row) != len(columns):
        raise DataError(
            f"{address!r}, row 1 has {len(row)} values, but the dataset has {len(columns)} columns: "
            f"{', '.join(columns[:20])}. Correct the file, its separator, or read it as a dataset of its own."
        )
    return len(row)
