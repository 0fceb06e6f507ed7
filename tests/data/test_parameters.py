"""Pipeline parameters: their types, and the values of a run."""

import enum

import pytest

from refrain.data.parameters import PipelineParameter, assign, parse
from refrain.errors import ParameterError

DECLARED = {
    p.name: p for p in (PipelineParameter("rate", 0.1), PipelineParameter("epochs", 3), PipelineParameter("on", True))
}


@pytest.mark.parametrize(("default", "kind"), [("x", "string"), (1, "integer"), (1.5, "number"), (True, "boolean")])
def test_the_default_gives_the_type(default, kind):
    assert PipelineParameter("p", default).json_type == kind


class Color(str, enum.Enum):
    RED = "red"


@pytest.mark.parametrize("default", [None, [1], {"a": 1}, b"x", 1j, Color.RED])
def test_a_default_of_another_type_is_refused(default):
    with pytest.raises(
        ParameterError, match=r"PipelineParameter 'p': the default .* a str, int, float or bool is needed"
    ):
        PipelineParameter("p", default)


@pytest.mark.parametrize("name", ["", "  ", None, 5])
def test_a_parameter_needs_a_name(name):
    with pytest.raises(ParameterError, match="A PipelineParameter needs a name, not"):
        PipelineParameter(name, 1)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_have_is_refused(number, workspace):
    message = "'rate' cannot be .*, which JSON does not have; give it as text"
    with pytest.raises(ParameterError, match=message):
        PipelineParameter("rate", number)
    with pytest.raises(ParameterError, match=message):
        assign(DECLARED, {"rate": number}, workspace)
    with pytest.raises(ParameterError, match=message):
        parse(DECLARED["rate"], str(number))


def test_what_a_run_does_not_give_has_its_default(workspace):
    assert assign(DECLARED, {"epochs": 9}, workspace) == {"rate": 0.1, "epochs": 9, "on": True}


def test_an_integer_becomes_a_number_where_one_is_declared(workspace):
    value = assign(DECLARED, {"rate": 1}, workspace)["rate"]
    assert (value, type(value)) == (1.0, float)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", True),
        ("epochs", 1.0),
        ("epochs", "1"),
        ("on", 1),
        ("on", "True"),
        ("rate", True),
        ("rate", "0.1"),
        ("rate", None),
    ],
)
def test_nothing_else_is_converted(name, value, workspace):
    message = f"'{name}' is a .* \\(its default is .*\\), but the run gives it the {type(value).__name__} {value!r}"
    with pytest.raises(ParameterError, match=message):
        assign(DECLARED, {name: value}, workspace)


def test_an_unknown_name_brings_the_nearest_one(workspace):
    with pytest.raises(
        ParameterError,
        match=r"Pipeline parameter with name 'epoch' does not exist. Known: epochs, on, rate. Did you mean 'epochs'\?",
    ):
        assign(DECLARED, {"epoch": 1}, workspace)


@pytest.mark.parametrize("name", [5, None])
def test_a_name_that_is_no_text_is_unknown(name, workspace):
    with pytest.raises(ParameterError, match="does not exist"):
        assign(DECLARED, {name: 1}, workspace)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "7", 7),
        ("epochs", "-1", -1),
        ("rate", "1", 1.0),
        ("rate", "1e-3", 1e-3),
        ("on", "False", False),
        ("on", "1", True),
    ],
)
def test_text_becomes_the_declared_type(name, text, value):
    found = parse(DECLARED[name], text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text"), [("epochs", "1.5"), ("epochs", ""), ("rate", "x"), ("on", "yes"), ("on", "")]
)
def test_text_of_another_type_is_refused(name, text):
    with pytest.raises(ParameterError, match=f"'{name}' is a {DECLARED[name].json_type}, not '{text}'"):
        parse(DECLARED[name], text)


def test_text_stays_text():
    assert parse(PipelineParameter("p", "x"), " 10 ") == " 10 "
