"""The encoding of a preimage: a second implementation, written from docs/reference/fingerprint.md alone, agrees."""

from __future__ import annotations

import math
import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refrain.reuse.preimage import fingerprint

# ---- the second implementation: no json module, nothing of Refrain's

_EXACT = Context(prec=1100)
_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def _encoded(value: Any) -> str:
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return _digits(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_encoded(item) for item in value) + "]"
    keys = sorted(value, key=lambda key: [ord(character) for character in key])
    return "{" + ",".join(f"{_text(key)}:{_encoded(value[key])}" for key in keys) + "}"


def _text(text: str) -> str:
    return '"' + "".join(_character(ord(character)) for character in text) + '"'


def _character(code: int) -> str:
    if chr(code) in _SHORT:
        return _SHORT[chr(code)]
    if 0x20 <= code <= 0x7E:
        return chr(code)
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def _digits(number: int) -> str:
    return ("-" if number < 0 else "") + f"{abs(number):d}"


def _float(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "Infinity" if number > 0 else "-Infinity"
    sign = "-" if str(number).startswith("-") else ""
    digits, exponent = _shortest(abs(number))
    point = exponent + 1  # how many of the digits stand before the point
    if -4 <= exponent < 16:
        padded = "0" * max(0, 1 - point) + digits + "0" * max(0, point - len(digits))
        place = max(point, 1)
        return sign + padded[:place] + "." + (padded[place:] or "0")
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _shortest(number: float) -> tuple[str, int]:
    """Return the fewest digits that are read back as the same double, and the exponent of the first of them."""
    exact = Decimal(number)
    exponent = exact.adjusted() if number else 0
    for count in range(1, 18):
        unit = Decimal(1).scaleb(exponent - count + 1)
        near = {exact.quantize(unit, way, _EXACT) for way in (ROUND_FLOOR, ROUND_CEILING)}
        same = [candidate for candidate in near if float(candidate) == number]
        if same:
            nearest = min(same, key=lambda candidate: (abs(candidate - exact), candidate.as_tuple().digits[-1] % 2))
            digits = "".join(map(str, nearest.as_tuple().digits)).rstrip("0")
            return digits or "0", nearest.adjusted() if number else 0
    raise AssertionError(number)


def _fingerprint(preimage: dict[str, Any]) -> str:
    return blake3(b"refrain fingerprint\n" + _encoded(preimage).encode("ascii")).hexdigest()


# ---- and what it is compared with

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.text(st.characters(codec=None), max_size=4)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)),
    max_leaves=12,
)
preimages = st.dictionaries(st.text(max_size=8), values, max_size=6)


@settings(max_examples=150)
@given(preimages)
@example({"x": 2.0**-24})  # of its sixteen digits, those nearest to it are not read back as the same double
def test_a_second_implementation_gives_the_same_fingerprints(preimage: dict[str, Any]) -> None:
    assert fingerprint(preimage) == _fingerprint(preimage)


@given(st.floats())
def test_a_number_with_a_point_is_written_as_the_reference_says(number: float) -> None:
    assert fingerprint({"x": number}) == _fingerprint({"x": number})


GOLDEN = {
    '{"a":1}': ({"a": 1}, "ee07bf73bf290e71d28bffe589869417144a91315efe54f55eca2b1006db6081"),
    '{"a":1.0}': ({"a": 1.0}, "149c09a90e18db761cfa1e9c1b0763142ab41c794e3e03300f8f1488a1396f6d"),
    '{"a":"1"}': ({"a": "1"}, "f2581031b9dd5af756779da699502ceec9c51b7f4fa5bdea13ebc910dc8b97a5"),
    '{"a":true}': ({"a": True}, "fecb1852004bd53c4be0780074d1aa980bb42aab7ddc917b06eb43d57e00d252"),
    '{"a":null}': ({"a": None}, "fd9724623758ba5e04912c5421a30092657e1d2d1c3754ab188d3912326d76d7"),
    '{"a":[1]}': ({"a": [1]}, "959d3a27d1d0324579caa65d8b296bfeceba4b9b52fb829423e3bac2183fe725"),
    '{"a":[[1]]}': ({"a": [[1]]}, "bed810fe2098b8713007ae55843a380cc6a35b72f55e381d0e4b2de90540bf50"),
    '{"a":-0.0,"b":1e+16,"c":1e-05}': (
        {"c": 1e-05, "b": 1e16, "a": -0.0},
        "4fe7b70dffb376e181d892e56f58931fc300d7aa70c612ff80beb76540d13360",
    ),
    '{"\\u00e9":"\\ud83d\\ude00\\u007f\\n"}': (
        {"é": "😀\x7f\n"},
        "3a4b138033abb1834bd9e2a34aad66262a281b46af83b8bdc3d2b76324fdc7f2",
    ),
}


@pytest.mark.parametrize(("text", "case"), GOLDEN.items(), ids=list(GOLDEN))
def test_the_encoding_of_each_kind_of_value_stays(text: str, case: tuple[dict[str, Any], str]) -> None:
    """A failure means that every stored result is lost; see docs/reference/fingerprint.md."""
    preimage, golden = case
    assert _encoded(preimage) == text
    assert (fingerprint(preimage), _fingerprint(preimage)) == (golden, golden)


def _typed(value: Any) -> Any:
    """Return a value that equals another's only if both are the same in type and value, however deep."""
    if isinstance(value, (list, tuple)):
        return ("list", *map(_typed, value))
    if isinstance(value, dict):
        return ("dict", *sorted((key, _typed(item)) for key, item in value.items()))
    return type(value).__name__, repr(value)


@settings(max_examples=100)
@given(values, values)
def test_two_values_share_a_fingerprint_only_if_they_are_the_same_in_type_and_value(one: Any, other: Any) -> None:
    is_same = str(_typed(one)) == str(_typed(other))
    assert (fingerprint({"x": one}) == fingerprint({"x": other})) is is_same


TWINS = [
    1,
    "1",
    True,
    1.0,
    "1.0",
    "true",
    None,
    "null",
    0,
    False,
    0.0,
    -0.0,
    "",
    [],
    {},
    [None],
    [[]],
    [1, [2]],
    [[1], 2],
]


def test_values_that_look_alike_have_fingerprints_of_their_own() -> None:
    assert len({fingerprint({"x": twin}) for twin in TWINS}) == len(TWINS)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_neighbours_cannot_run_into_each_other(one: list[str], other: list[str]) -> None:
    assert (fingerprint({"x": one}) == fingerprint({"x": other})) is (one == other)


def test_the_order_in_which_a_preimage_is_put_together_does_not_count() -> None:
    assert fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == fingerprint({"b": {"d": 3, "c": 2}, "a": 1})


def test_a_fingerprint_is_64_hexadecimal_digits() -> None:
    assert re.fullmatch("[0-9a-f]{64}", fingerprint({}))
