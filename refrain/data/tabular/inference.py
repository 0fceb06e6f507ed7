"""Inference: the type of a column from a sample of its texts."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from refrain.data.tabular.conversion import parser
from refrain.data.tabular.types import DataType

log = logging.getLogger(__name__)

_WORDS = {"true", "false"}
_DAY_AND_MONTH = re.compile(
    r"(?P<first>[0-9]{1,2})(?P<mark>[/.-])(?P<second>[0-9]{1,2})(?P=mark)[0-9]{4}"
    r"(?P<time>(?P<gap>[T ])[0-9:]+(?: ?[AaPp][Mm])?)?"
)
_YEAR_FIRST = re.compile(
    r"[0-9]{4}(?P<mark>[/.])[0-9]{1,2}(?P=mark)[0-9]{1,2}(?P<time>(?P<gap>[T ])[0-9:]+(?: ?[AaPp][Mm])?)?"
)
_NUMBER_OF_DIGITS = 18  # more may not fit into 64 bits: such names of things stay texts


def infer(column: str, texts: Iterable[str | None]) -> DataType:
    """Return the narrowest type that every text of the sample fits; empty texts fit all.

    When the sample leaves open whether 03/04/2020 is in March or in April, the month comes first, with a warning (Azure
    ML's rule).
    """
    sample = sorted({text.strip() for text in texts if text is not None} - {""})
    if not sample:
        return DataType.to_string()
    if all(text.lower() in _WORDS for text in sample):
        return DataType.to_bool()
    if all(_fits(text, DataType.to_float()) for text in sample):
        return _number(sample)
    if all(_fits(text, DataType.to_datetime()) for text in sample):
        return DataType.to_datetime()
    return _date(column, sample) or DataType.to_string()


def _number(sample: Sequence[str]) -> DataType:
    if not all(_fits(text, DataType.to_long()) for text in sample):
        is_long_id = any(text.lstrip("+-").isdigit() and len(text.lstrip("+-")) > _NUMBER_OF_DIGITS for text in sample)
        return DataType.to_string() if is_long_id else DataType.to_float()
    return DataType.to_long()


def _fits(text: str, kind: DataType) -> bool:
    try:
        parser(kind)(text)
    except (ValueError, OverflowError):
        return False
    return True


def _date(column: str, sample: Sequence[str]) -> DataType | None:
    match = _YEAR_FIRST.fullmatch(sample[0])
    if match:
        mark = match["mark"]
        return _all_fit(sample, [f"%Y{mark}%m{mark}%d{time}" for time in _times(match)])
    match = _DAY_AND_MONTH.fullmatch(sample[0])
    if not match:
        return None
    mark = match["mark"]
    month_first = _all_fit(sample, [f"%m{mark}%d{mark}%Y{time}" for time in _times(match)])
    day_first = _all_fit(sample, [f"%d{mark}%m{mark}%Y{time}" for time in _times(match)])
    if month_first and day_first and any(_is_ambiguous(text) for text in sample):
        _warn(column, sample[0], day_first.formats[0])
    return month_first or day_first


@lru_cache(maxsize=1024)  # once for each, however often a dataset is evaluated
def _warn(column: str, text: str, other: str) -> None:
    log.warning(
        "Column %r: dates such as %r fit month first and day first; taken as month first. Decide it with "
        "set_column_types={%r: DataType.to_datetime(%r)}.",
        column, text, column, other,
    )  # fmt: skip


def _is_ambiguous(text: str) -> bool:
    match = _DAY_AND_MONTH.fullmatch(text)
    return match is not None and match["first"] != match["second"]


def _times(match: re.Match[str]) -> list[str]:
    if not match["time"]:
        return [""]
    gap = match["gap"]
    return [f"{gap}{time}" for time in ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p")]


def _all_fit(sample: Sequence[str], formats: list[str]) -> DataType | None:
    kinds = (DataType.to_datetime(chosen) for chosen in formats)
    return next((kind for kind in kinds if all(_fits(text, kind) for text in sample)), None)


def infer_columns(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> dict[str, DataType]:
    """Return a type for each column of a sample of rows; a row may be shorter than the names."""
    pick: Callable[[Any, int], Any] = lambda row, number: row[number] if number < len(row) else None  # noqa: E731
    return {name: infer(name, [pick(row, number) for row in rows]) for number, name in enumerate(names)}
