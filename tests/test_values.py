"""Values are dataclasses in every respect; what differs from the standard library's is only what they cost."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import field
from typing import Any

import pytest

from refrain.values import dataclass

Declare = Callable[..., Any]


def _point(declare: Declare, **how: Any) -> Any:
    @declare(frozen=True, **how)
    class Point:
        """A point."""

        x: int
        y: int = 2
        names: list[str] = field(default_factory=list, compare=False)
        made: int = field(default=7, init=False, repr=False)

        def __post_init__(self) -> None:
            if self.x < 0:
                raise ValueError("x")

    return Point


@dataclass(frozen=True)
class Stored:
    """Some text."""

    text: str


@pytest.fixture
def ours() -> Any:
    return _point(dataclass)


@pytest.fixture
def theirs() -> Any:
    return _point(dataclasses.dataclass)


def test_an_instance_looks_as_one_of_the_standard_library(ours: Any, theirs: Any) -> None:
    assert repr(ours(1, names=["a"])) == repr(theirs(1, names=["a"]))
    assert dataclasses.asdict(ours(1)) == dataclasses.asdict(theirs(1))
    assert [f.name for f in dataclasses.fields(ours)] == [f.name for f in dataclasses.fields(theirs)]
    assert ours.__match_args__ == theirs.__match_args__
    assert hash(ours(1)) == hash(theirs(1))


def test_a_signature_names_the_same_parameters(ours: Any, theirs: Any) -> None:
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    with pytest.raises(TypeError, match=r"Point\.__init__\(\) missing 1 required positional argument: 'x'"):
        ours()


def test_defaults_are_made_anew_for_each_instance(ours: Any) -> None:
    assert ours(1).names is not ours(1).names
    assert (ours(1).y, ours(1).made, ours(1, 3).y, ours(1, names=["a"]).names) == (2, 7, 3, ["a"])


def test_equality_is_that_of_the_fields_that_compare(ours: Any, theirs: Any) -> None:
    assert ours(1, names=["a"]) == ours(1, names=["b"])
    assert ours(1) != ours(2)
    assert ours(1) != theirs(1)
    assert len({ours(1), ours(1), ours(2)}) == 2


def test_nothing_can_be_changed(ours: Any) -> None:
    made = ours(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
        made.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'other'"):
        made.other = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
        del made.x


def test_what_a_class_checks_of_itself_is_checked(ours: Any) -> None:
    with pytest.raises(ValueError, match="x"):
        ours(-1)
    with pytest.raises(ValueError, match="x"):
        dataclasses.replace(ours(1), x=-1)


def test_copies_are_equal() -> None:
    value = Stored("a")
    assert dataclasses.replace(value, text="b") == Stored("b")
    assert copy.deepcopy(value) == copy.copy(value) == value


def test_methods_that_a_class_writes_itself_stay() -> None:
    @dataclass(frozen=True)
    class Own:
        """Says everything itself."""

        x: int

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 5

    assert (repr(Own(1)), Own(1) == Own(2), hash(Own(1))) == ("own", True, 5)


def test_without_equality_each_instance_is_itself() -> None:
    plain = _point(dataclass, eq=False)
    assert plain(1) != plain(1)
    assert len({plain(1), plain(1)}) == 2


@pytest.mark.parametrize("declare", [dataclass, dataclasses.dataclass])
def test_a_class_may_have_one_of_them_as_its_ancestor(ours: Any, declare: Declare) -> None:
    @declare(frozen=True)
    class Named(ours):  # type: ignore[misc]  # made by a fixture
        """A point with a name."""

        name: str = "n"

    assert repr(Named(1)).endswith(".Named(x=1, y=2, names=[], name='n')")
    assert Named(1) == Named(1)
    assert Named(1) != Named(1, name="m")
    with pytest.raises(dataclasses.FrozenInstanceError, match="name"):
        Named(1).name = "m"


def test_what_can_be_changed_is_left_to_the_standard_library() -> None:
    @dataclass
    class Open:
        """May be changed."""

        x: int = 1

    made = Open()
    made.x = 2
    assert made == Open(2)
