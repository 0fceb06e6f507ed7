"""Conversion: from text to values, with Arrow's kernels where they agree with the rules, in Python where not."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import lru_cache, partial
from typing import Any

from refrain.data.tabular.types import DataType, Kind

_LONG = re.compile(r"[+-]?[0-9]{1,19}")
_FLOAT = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf(?:inity)?|nan)", re.IGNORECASE)
_ISO = re.compile(
    r"(?P<Y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})"
    r"(?:[T ](?P<H>[0-9]{2})(?::(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:\.(?P<f>[0-9]{1,9}))?)?)?)?"
    r"\s?(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})
# Directives that Arrow can take apart; the others need Python's strptime.
_DIGITS = {
    "Y": "[0-9]{4}",
    "m": "[0-9]{1,2}",
    "d": "[0-9]{1,2}",
    "H": "[0-9]{1,2}",
    "M": "[0-9]{1,2}",
    "S": "[0-9]{1,2}",
}


def convert(values: Any, kind: DataType) -> tuple[Any, Any | None]:
    """Convert an Arrow array of strings.

    :return: the values, null where a text cannot be converted, and a mask of those places, None if there is none.
    """
    import pyarrow as pa

    if kind.kind is Kind.STRING:
        return values, None
    try:
        return _fast(values, kind), None
    except pa.ArrowInvalid:
        return _slow(values, kind)


def may_hold(values: Any, characters: bytes) -> bool:
    """Say whether a string array may hold one of some ASCII characters: a look at its memory, not at each value."""
    data = values.buffers()[2]
    held = data.to_pybytes() if data is not None else b""
    return any(held.find(character) >= 0 for character in characters)


def parser(kind: DataType) -> Callable[[str], Any]:
    """Return the function that reads one text; it raises ``ValueError`` for one that does not fit."""
    if kind.kind is Kind.DATETIME:
        return partial(_parse_datetime, formats=kind.formats)
    if kind.kind is Kind.FLOAT:
        return partial(_parse_float, decimal_mark=kind.decimal_mark)
    parsers: dict[Kind, Callable[[str], Any]] = {Kind.LONG: _parse_long, Kind.BOOL: _parse_bool, Kind.STRING: str}
    return parsers[kind.kind]


def _fast(values: Any, kind: DataType) -> Any:
    """The kernels; ``ArrowInvalid`` where they are stricter than the rules or where a text does not fit."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind.kind is Kind.BOOL:
        return _fast_bool(values)
    if kind.kind is Kind.DATETIME:
        return _fast_datetime(values, kind.formats)
    if kind.decimal_mark != ".":
        raise pa.ArrowInvalid("left to Python")
    if may_hold(values, b"xXpP"):
        raise pa.ArrowInvalid("Arrow would read hexadecimal numbers")
    return pc.cast(values, kind.arrow())


def _fast_bool(values: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return pc.cast(values, pa.bool_())  # true, false, 1 and 0
    except pa.ArrowInvalid:
        lower = pc.utf8_lower(values)
    is_true = pc.is_in(lower, value_set=pa.array(sorted(_TRUE)))
    is_known = pc.or_(is_true, pc.is_in(lower, value_set=pa.array(sorted(_FALSE))))
    if not pc.all(pc.or_(is_known, pc.is_null(values)), min_count=0).as_py():
        raise pa.ArrowInvalid("not a truth value")
    return pc.if_else(pc.is_null(values), pa.scalar(None, pa.bool_()), is_true)


def _fast_datetime(values: Any, formats: tuple[str, ...]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not formats:
        return pc.cast(values, pa.timestamp("us"))
    pattern = _pattern(formats[0]) if len(formats) == 1 else None
    if pattern is None:
        raise pa.ArrowInvalid("left to Python")
    fields = pc.extract_regex(values, pattern)
    if fields.null_count != values.null_count:
        raise pa.ArrowInvalid("not of this format")
    return pc.cast(pc.if_else(pc.is_null(values), None, _iso(fields)), pa.timestamp("us"))


def _iso(fields: Any) -> Any:
    """Join the parts of dates to ISO 8601, which Arrow's cast checks for days that do not exist."""
    import pyarrow as pa
    import pyarrow.compute as pc

    present = {field.name for field in fields.type}

    def part(name: str) -> Any:
        if name not in present:
            return pa.scalar("01" if name in "md" else "00")
        return pc.utf8_lpad(pc.struct_field(fields, name), 2, "0")

    date = pc.binary_join_element_wise(part("Y"), part("m"), part("d"), "-")
    return pc.binary_join_element_wise(date, pc.binary_join_element_wise(part("H"), part("M"), part("S"), ":"), " ")


@lru_cache(maxsize=256)
def _pattern(text: str) -> str | None:
    """The regular expression of a format, or None if it has a directive that only Python knows."""
    directives = re.findall(r"%(.)", text)
    if "Y" not in directives or len(set(directives)) != len(directives) or not set(directives) <= set(_DIGITS):
        return None
    if any(character.isspace() and character != " " for character in text):
        return None
    parts = re.split(r"%(.)", text)
    made = [re.escape(part) if number % 2 == 0 else f"(?P<{part}>{_DIGITS[part]})" for number, part in enumerate(parts)]
    return f"^{''.join(made)}$".replace("\\ ", " ").replace("\\-", "-").replace("\\/", "/")


def _slow(values: Any, kind: DataType) -> tuple[Any, Any | None]:
    """Every different text once, in Python."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    encoded = encoded.dictionary_encode()
    parse = parser(kind)
    parsed, bad = [], []
    for text in encoded.dictionary.to_pylist():
        stripped = text.strip()
        try:
            parsed.append(parse(stripped) if stripped else None)
            bad.append(False)
        except (ValueError, OverflowError):
            parsed.append(None)
            bad.append(True)
    result = pc.take(pa.array(parsed, kind.arrow()), encoded.indices)
    mask = pc.fill_null(pc.take(pa.array(bad, pa.bool_()), encoded.indices), False)
    return result, mask if any(bad) else None


def _parse_long(text: str) -> int:
    if not _LONG.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise ValueError(text)
    return int(text)


def _parse_float(text: str, decimal_mark: str) -> float:
    number = text if decimal_mark == "." else text.replace(".", "x").replace(decimal_mark, ".")
    if not _FLOAT.fullmatch(number):
        raise ValueError(text)
    return float(number)


def _parse_bool(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError(text)
    return text.lower() in _TRUE


def _parse_datetime(text: str, formats: tuple[str, ...]) -> datetime:
    if not formats:
        return _parse_iso(text)
    for number, chosen in enumerate(formats):
        try:
            return _naive(datetime.strptime(text, chosen))  # noqa: DTZ007  # columns have no time zone
        except ValueError:
            if number == len(formats) - 1:
                raise
    raise ValueError(text)


def _parse_iso(text: str) -> datetime:
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = (int(match[name] or 0) for name in ("Y", "m", "d", "H", "M", "S"))
    micro = int(f"{match['f'] or 0:0<6}"[:6])
    moment = datetime(year, month, day, hour, minute, second, micro)
    zone = match["zone"]
    if not zone or zone == "Z":
        return moment
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return moment - offset if zone[0] == "+" else moment + offset


def _naive(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(timezone.utc).replace(tzinfo=None)
