"""Definitions: steps and pipelines as plain values."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refrain.data.parameters import PipelineParameter
from refrain.data.ports import (
    FromDatastore,
    FromFiles,
    FromModel,
    FromReference,
    FromStep,
    InputMode,
    InputPort,
    OutputKind,
    OutputMode,
    OutputPort,
    Registration,
)
from refrain.environments.specification import EnvironmentSpec, ImageSpec, PackageSpec
from refrain.errors import PipelineError, UnknownNameError, UserError
from refrain.steps.command import InputPath, Interpreter, Literal, OutputPath, ParameterValue
from refrain.steps.definition import PipelineDefinition, SourceCode, StepDefinition, freeze, in_running_order


def named(key, *after, name=None, inputs=()):
    return StepDefinition(
        key, name or key, "python_script", SourceCode("/s"), (Interpreter(),), after=after, inputs=inputs
    )


A = InputPort("x", FromStep("a", "out"))
PIPELINE = PipelineDefinition(
    "p", (named("a", name="same"), named("b", name="same"), named("c", name="other", inputs=(A,)))
)

TEXT = st.text(max_size=8)
OPTIONAL = st.none() | TEXT
TOKENS = st.builds(Interpreter) | st.one_of(
    *(st.builds(kind, TEXT) for kind in (Literal, InputPath, OutputPath, ParameterValue))
)
LOCATIONS = st.lists(st.tuples(OPTIONAL, TEXT), max_size=2).map(tuple)
SOURCES = (
    st.builds(FromStep, TEXT, TEXT)
    | st.builds(FromDatastore, TEXT, TEXT)
    | st.builds(FromFiles, LOCATIONS)
    | st.builds(FromModel, TEXT, st.none() | st.integers(1))
    | st.builds(FromReference, TEXT)
)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple)
INPUTS = st.builds(InputPort, TEXT, SOURCES, st.sampled_from(InputMode), OPTIONAL, st.booleans())
OUTPUTS = st.builds(
    OutputPort,
    name=TEXT,
    datastore=TEXT,
    path=TEXT,
    kind=st.sampled_from(OutputKind),
    mode=st.sampled_from(OutputMode),
    path_on_compute=OPTIONAL,
    overwrite=st.booleans(),
    globs=st.lists(TEXT, max_size=2).map(tuple),
    registration=st.none() | st.builds(Registration, TEXT, TEXT, PAIRS),
    is_dataset=st.booleans(),
)
TEXTS = st.lists(TEXT, max_size=2).map(tuple)
PACKAGES = st.builds(PackageSpec, TEXT, TEXTS, TEXTS, TEXTS, TEXTS, st.booleans(), st.booleans())
IMAGES = st.builds(ImageSpec, TEXT, TEXT)
STEPS = st.builds(
    StepDefinition,
    key=TEXT,
    name=TEXT,
    kind=TEXT,
    source=st.builds(SourceCode, OPTIONAL, OPTIONAL),
    command=st.lists(TOKENS, max_size=3).map(tuple),
    inputs=st.lists(INPUTS, max_size=2).map(tuple),
    outputs=st.lists(OUTPUTS, max_size=2).map(tuple),
    parameters=st.lists(st.tuples(TEXT, TOKENS), max_size=2).map(tuple),
    environment=st.builds(EnvironmentSpec, OPTIONAL, PAIRS, st.none() | PACKAGES, st.none() | IMAGES),
    allow_reuse=st.booleans(),
    after=st.lists(TEXT, max_size=2).map(tuple),
    compute=OPTIONAL,
    version=OPTIONAL,
)
PARAMETERS = st.builds(
    PipelineParameter,
    name=st.text(min_size=1, max_size=8).filter(str.strip),
    default_value=TEXT | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans(),
    affects_reuse=st.booleans(),
)
PIPELINES = st.builds(
    PipelineDefinition,
    name=TEXT,
    steps=st.lists(STEPS, max_size=3).map(tuple),
    parameters=st.lists(PARAMETERS, max_size=2).map(tuple),
    outputs=st.lists(st.tuples(TEXT, st.builds(FromStep, TEXT, TEXT)), max_size=2).map(tuple),
    description=TEXT,
)


@settings(max_examples=60, deadline=None)
@given(PIPELINES)
def test_any_definition_survives_json(definition):
    text = json.dumps(definition.to_json())
    found = PipelineDefinition.from_json(json.loads(text))
    assert found == definition
    assert json.dumps(found.to_json()) == text  # 1, 1.0 and True are equal, but not the same


def test_the_json_of_a_definition_is_golden():
    """A change here loses every stored definition."""
    assert PipelineDefinition("p", (named("a"),), (PipelineParameter("n", 1),)).to_json() == {
        "schema": 1,
        "is": "PipelineDefinition",
        "name": "p",
        "steps": [
            {
                "is": "StepDefinition",
                "key": "a",
                "name": "a",
                "kind": "python_script",
                "source": {"is": "SourceCode", "directory": "/s", "snapshot": None, "counted": None},
                "command": [{"is": "Interpreter"}],
                "inputs": [],
                "outputs": [],
                "parameters": [],
                "environment": {
                    "is": "EnvironmentSpec",
                    "interpreter": None,
                    "variables": [],
                    "packages": None,
                    "image": None,
                    "uses_spark": False,
                },
                "allow_reuse": True,
                "after": [],
                "compute": None,
                "version": None,
            }
        ],
        "parameters": [{"is": "PipelineParameter", "name": "n", "default_value": 1, "affects_reuse": True}],
        "outputs": [],
        "description": "",
    }


def test_a_definition_from_before_environments_had_packages_is_read():
    document = PipelineDefinition("p", (named("a"),)).to_json()
    document["steps"][0]["environment"] = {"is": "EnvironmentSpec", "interpreter": "/p", "variables": [["A", "1"]]}
    assert PipelineDefinition.from_json(document).steps[0].environment == EnvironmentSpec("/p", (("A", "1"),))


def test_a_newer_definition_is_refused():
    with pytest.raises(
        UserError, match="The pipeline definition has schema 2, this Refrain reads up to 1; upgrade Refr"
    ):
        PipelineDefinition.from_json({"schema": 2})


@pytest.mark.parametrize("document", [{}, {"schema": "1"}, {"schema": 0}, [], None, "x"])
def test_what_has_no_schema_is_no_definition(document):
    with pytest.raises(UserError, match="This is no pipeline definition: it has no schema number"):
        PipelineDefinition.from_json(document)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": [5]},
        {"steps": 5},
        {"name": 5},
        {"extra": 1},
        {"steps": [{"is": "StepDefinition"}]},
        {"parameters": [{"is": "PipelineParameter", "name": "", "default_value": 1, "affects_reuse": True}]},
        {"outputs": [["a", {"is": "FromStep", "step": "a"}]]},
    ],
)
def test_a_damaged_definition_is_refused(change):
    with pytest.raises(UserError, match="This is no pipeline definition: "):
        PipelineDefinition.from_json({**PIPELINE.to_json(), **change})


def test_a_step_is_found_by_key_or_by_a_name_of_its_own():
    assert PIPELINE.step("b").key == "b"
    assert PIPELINE.step("other").key == "c"


def test_a_name_of_several_steps_is_refused_with_their_keys():
    with pytest.raises(UnknownNameError, match="2 steps are called 'same'; use one of the keys a, b"):
        PIPELINE.step("same")


def test_an_unknown_step_is_named_with_the_nearest_key():
    pipeline = PipelineDefinition("p", (named("train"), named("test")))
    with pytest.raises(UnknownNameError, match=r"There is no step 'trian'. Known: test, train. Did you mean 'train'\?"):
        pipeline.step("trian")


def test_an_unknown_output_is_named():
    with pytest.raises(UnknownNameError, match=r"Step 'same' has no output 'x'. Known: none"):
        PIPELINE.step("a").output("x")


def test_upstream_is_what_a_step_reads_and_waits_for():
    assert named("c", "b", inputs=(A, InputPort("y", FromDatastore("s", "p")))).upstream == {"a", "b"}


def test_datastores_are_those_of_all_inputs_and_outputs():
    files = InputPort("f", FromFiles(((None, "/x"), ("three", "y"))))
    step = StepDefinition(
        "a",
        "a",
        "k",
        SourceCode("/s"),
        (),
        (InputPort("y", FromDatastore("two", "p")), files, A),
        (OutputPort("o", "one", "p"),),
    )
    assert PipelineDefinition("p", (step,)).datastores == {"one", "two", "three"}


# ---- order


def order(*steps):
    return [step.key for step in in_running_order(tuple(steps))]


def test_an_order_that_can_run_is_kept():
    assert order(named("a"), named("b", "a"), named("c"), named("d", "b")) == ["a", "b", "c", "d"]


def test_a_step_comes_after_all_that_it_waits_for():
    assert order(named("c", "b"), named("b", "a"), named("a")) == ["a", "b", "c"]


def test_steps_of_another_pipeline_are_not_waited_for():
    assert order(named("a", "elsewhere")) == ["a"]


@settings(max_examples=60, deadline=None)
@given(
    st.permutations(range(8)), st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda e: e[0] < e[1]))
)
def test_any_graph_without_a_circle_is_ordered(places, edges):
    steps = [named(str(n), *sorted(str(first) for first, then in edges if then == n)) for n in places]
    found = order(*steps)
    assert sorted(found) == sorted(str(n) for n in range(8))
    assert all(found.index(str(first)) < found.index(str(then)) for first, then in edges)


def test_a_circle_is_named_without_those_that_only_wait_behind_it():
    edge = InputPort("x", FromStep("c", "out"))
    with pytest.raises(
        PipelineError, match="Cycle detected, each of these steps waits for the next: b → c → b"
    ) as caught:
        order(named("behind", "b"), named("a"), named("b", inputs=(edge,)), named("c", "b", "a"))
    assert "behind" not in str(caught.value)


def test_a_step_that_waits_for_itself_is_a_circle():
    with pytest.raises(PipelineError, match="a → a"):
        order(named("a", "a"))


def test_a_frozen_definition_knows_snapshots_and_no_directory():
    frozen = freeze(PIPELINE, {"a": "1", "b": "2", "c": "3"})
    assert [step.source for step in frozen.steps] == [SourceCode(snapshot=digest) for digest in "123"]
    assert [step.key for step in frozen.steps] == ["a", "b", "c"]
