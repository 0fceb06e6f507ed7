import numpy as np
import pytest

from refrain.runtime.errors import UserErrorException
from refrain.runtime.metrics import list_events, row_event, scalar_event, table_events


def test_a_value_keeps_its_step_and_description():
    assert scalar_event("loss", 0.5, "of the batch", np.int64(3)) == {
        "kind": "metric",
        "name": "loss",
        "value": 0.5,
        "description": "of the batch",
        "step": 3,
    }
    assert scalar_event("loss", 0.5, "", None) == {"kind": "metric", "name": "loss", "value": 0.5}


def test_a_step_is_a_whole_number():
    with pytest.raises(UserErrorException, match=r"Step of metric 'loss' is 0.5, .*whole number"):
        scalar_event("loss", 1, None, 0.5)


@pytest.mark.parametrize("name", ["", None])
def test_a_metric_has_a_name(name):
    with pytest.raises(UserErrorException, match=r"A metric has no name\. Write run.log"):
        scalar_event(name, 1, None, None)


def test_a_list_is_as_many_values_in_order():
    generator = (number for number in (1, np.float32(0.5), 3))

    assert [event["value"] for event in list_events("m", generator, None)] == [1.0, 0.5, 3.0]
    assert all(isinstance(event["value"], float) for event in list_events("m", [1, 0.5], None))
    assert [event["value"] for event in list_events("m", np.arange(3), None)] == [0, 1, 2]


def test_an_empty_list_is_nothing():
    assert list_events("m", [], None) == []
    assert table_events("m", {"x": [], "y": []}, None) == []


def test_one_value_is_no_list():
    with pytest.raises(UserErrorException, match=r"Metric 'm' got a int, .*run.log\('m', ...\)"):
        list_events("m", 3, None)


def test_a_list_as_a_column_of_a_row_is_refused():
    with pytest.raises(UserErrorException, match=r"Metric 'r.x' got a list.*run.log_table"):
        row_event("r", {"x": [1]}, None)


def test_a_row_has_columns():
    with pytest.raises(UserErrorException, match=r"Row of metric 'r' has no columns.*run.log_row\('r', column=value\)"):
        row_event("r", {}, None)


def test_a_table_takes_columns_of_any_kind():
    (event,) = table_events("t", {"x": np.array([1, 2]), "y": ("a", None), "z": (n for n in (0.5, 1))}, None)

    assert event["values"] == {"x": [1, 2], "y": ["a", None], "z": [0.5, 1]}


def test_a_table_of_scalars_is_one_row():
    (event,) = table_events("t", {"x": 1, "y": "text"}, None)

    assert event["values"] == {"x": [1], "y": ["text"]}


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(UserErrorException, match=r"Columns of table 't' differ in length \(x: 2, y: 1\)\. Pad"):
        table_events("t", {"x": [1, 2], "y": [1]}, None)


class Frame:
    def to_dict(self, orient: str) -> dict[str, list[int]]:
        return {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "got a dict without columns. Give a dict of columns of equal length, as in {'x':"),
        ([1], "got a list. Give a dict"),
        (Frame(), "got a Frame. Give a dict of columns of equal length: here, value.to_dict('list')."),
    ],
)
def test_a_table_is_a_dict_of_columns(value, message):
    with pytest.raises(UserErrorException) as error:
        table_events("t", value, None)
    assert message in error.value.message
