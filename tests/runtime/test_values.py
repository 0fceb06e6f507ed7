import enum
from decimal import Decimal

import numpy as np
import pytest

from refrain.runtime.errors import UserErrorException
from refrain.runtime.values import loose_scalar, strict_scalar


class Color(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (3, 3),
        (0.5, 0.5),
        ("a", "a"),
        (None, None),
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.longdouble(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(2.5), 2.5),
        (np.array([7]), 7),
        (Color.RED, "red"),
        (Level.LOW, 1),
    ],
)
def test_what_scripts_hold_becomes_a_builtin_scalar(value, expected):
    scalar = loose_scalar(value, "m")

    assert scalar == expected
    assert type(scalar) is type(expected)
    assert strict_scalar(value, "m") == expected


@pytest.mark.parametrize("value", [[1, 2], range(3), (n for n in [1])])
def test_several_values_are_refused_where_one_is_meant(value):
    kind = type(value).__name__

    with pytest.raises(UserErrorException, match=rf"Metric 'loss' got a {kind}, .*run.log_list\('loss', ...\)"):
        loose_scalar(value, "loss")


@pytest.mark.parametrize("value", [Decimal("0.5"), (1, 2), {"a": 1}, np.array([1, 2]), 1j, np.datetime64("2020-01-01")])
def test_anything_else_is_logged_as_its_repr_with_a_warning(value):
    with pytest.warns(UserWarning, match="Metric 'm' got a .* its repr is logged"):
        assert loose_scalar(value, "m") == repr(value)


@pytest.mark.parametrize("value", [Decimal("0.5"), [1], np.array([1, 2]), int])
def test_an_element_must_be_a_scalar(value):
    with pytest.raises(UserErrorException, match=r"Metric 'm' got a .* as an element\. .*float\(\.\.\.\)"):
        strict_scalar(value, "m")
