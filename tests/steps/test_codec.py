"""Codec: values to JSON and back, with their types."""

import json
from dataclasses import dataclass
from enum import Enum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refrain.steps.codec import decode, encode


class Color(str, Enum):
    RED = "red"


@dataclass(frozen=True)
class Leaf:
    value: str | int | float | bool


@dataclass(frozen=True)
class Other:
    value: int = 0


@dataclass(frozen=True)
class Tree:
    color: Color
    leaf: Leaf | Other | None = None
    pairs: tuple[tuple[str, Leaf], ...] = ()
    pair: tuple[str, int] = ("", 0)


def test_the_encoding_is_golden():
    """A change here loses every stored definition."""
    assert encode(Tree(Color.RED, Other(3), (("a", Leaf(True)),))) == {
        "is": "Tree",
        "color": "red",
        "leaf": {"is": "Other", "value": 3},
        "pairs": [["a", {"is": "Leaf", "value": True}]],
        "pair": ["", 0],
    }


SCALARS = st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()


@settings(max_examples=50, deadline=None)
@given(SCALARS)
def test_a_value_keeps_its_type(value):
    found = decode(Leaf, json.loads(json.dumps(encode(Leaf(value))))).value
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "tree", [Tree(Color.RED), Tree(Color.RED, Leaf("x")), Tree(Color.RED, Other(1), (("a", Leaf(1.0)),))]
)
def test_a_tree_comes_back(tree):
    assert decode(Tree, json.loads(json.dumps(encode(tree)))) == tree


@pytest.mark.parametrize(
    "change",
    [
        {"color": "blue"},
        {"leaf": {"is": "Nothing"}},
        {"leaf": {"value": 1}},
        {"leaf": {"is": "Other", "value": True}},
        {"leaf": {"is": "Other", "value": "1"}},
        {"leaf": {"is": "Other", "extra": 1}},
        {"leaf": 5},
        {"pairs": "ab"},
        {"pairs": [["a"]]},
        {"pairs": [["a", 5]]},
        {"pair": ["a", 1, 2]},
    ],
)
def test_what_does_not_fit_is_refused(change):
    with pytest.raises((TypeError, KeyError, ValueError)):
        decode(Tree, {**encode(Tree(Color.RED)), **change})


@pytest.mark.parametrize("value", [5, None, "x", []])
def test_what_is_no_object_is_refused(value):
    with pytest.raises(TypeError):
        decode(Tree, value)
