"""Soundness as properties: two results share a fingerprint if, and only if, all that can change them is the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from refrain import PipelineParameter
from refrain.data.handle import DataHandle
from refrain.data.ports import FromDatastore, InputMode, InputPort, OutputKind, OutputMode, OutputPort
from refrain.environments.interpreter import InterpreterIdentity
from refrain.environments.specification import EnvironmentSpec
from refrain.reuse.preimage import Ingredients, fingerprint, preimage
from refrain.steps.command import InputPath, Interpreter, Literal, OutputPath, ParameterValue
from refrain.steps.definition import SourceCode, StepDefinition
from refrain.storage.manifest import TreeKind

names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5)
texts = st.text(max_size=6)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
scalars = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), texts)

BASE = Ingredients(
    step=StepDefinition(
        key="train",
        name="Train",
        kind="python_script",
        source=SourceCode(directory="/somewhere"),
        command=(Interpreter(), Literal("train.py"), InputPath("data"), OutputPath("model"), ParameterValue("rate")),
        inputs=(InputPort("data", FromDatastore("store", "data.csv"), InputMode.MOUNT),),
        outputs=(OutputPort("model", "store", "models", OutputKind.ANY),),
        parameters=(("verbosity", ParameterValue("verbosity")),),
        environment=EnvironmentSpec(None, (("THREADS", "4"), ("TOKEN", "secret"))),
    ),
    snapshot="5" * 64,
    inputs={"data": DataHandle("file:///data.csv", TreeKind.FILE, "a" * 64, 1, 10)},
    parameters={"rate": 0.1, "verbosity": 1, "unused": 1},
    declared={
        "rate": PipelineParameter("rate", 0.5),
        "verbosity": PipelineParameter("verbosity", 0, affects_reuse=False),
        "unused": PipelineParameter("unused", 0),
    },
    interpreter=InterpreterIdentity("/usr/bin/python", "CPython 3.11.7", "linux-x86_64", ("numpy==2.0",)),
    secret_key=b"k" * 32,
)


def _step(**changes: Any) -> Ingredients:
    return replace(BASE, step=replace(BASE.step, **changes))


def _input(**changes: Any) -> Ingredients:
    return _step(inputs=(replace(BASE.step.inputs[0], **changes),))


def _data(**changes: Any) -> Ingredients:
    return replace(BASE, inputs={"data": replace(BASE.inputs["data"], **changes)})


def _output(**changes: Any) -> Ingredients:
    return _step(outputs=(replace(BASE.step.outputs[0], **changes),))


def _variables(threads: str, token: str) -> Ingredients:
    return _step(environment=EnvironmentSpec(None, (("THREADS", threads), ("TOKEN", token))))


COUNTED: dict[str, tuple[Any, Callable[[Any], Ingredients]]] = {
    "kind": (names, lambda v: _step(kind=v)),
    "version": (st.none() | texts, lambda v: _step(version=v)),
    "snapshot": (digests, lambda v: replace(BASE, snapshot=v)),
    "part of the source": (st.booleans(), lambda v: replace(BASE, is_part=v)),
    "arguments": (st.lists(texts, max_size=3), lambda v: _step(command=tuple(map(Literal, v)))),
    "parameter": (scalars, lambda v: replace(BASE, parameters={**BASE.parameters, "rate": v})),
    "bytes of an input": (digests, lambda v: _data(digest=v)),
    "kind of an input": (st.sampled_from(TreeKind), lambda v: _data(kind=v)),
    "name of a single file": (names, lambda v: _data(uri=f"s3://bucket/{v}")),
    "how an input is read": (st.sampled_from(InputMode), lambda v: _input(mode=v)),
    "where an input is put": (st.none() | names, lambda v: _input(path_on_compute=v)),
    "datastore of an output": (names, lambda v: _output(datastore=v)),
    "path of an output": (texts, lambda v: _output(path=v)),
    "kind of an output": (st.sampled_from(OutputKind), lambda v: _output(kind=v)),
    "how an output is written": (st.sampled_from(OutputMode), lambda v: _output(mode=v)),
    "files of an output": (st.lists(texts, max_size=2), lambda v: _output(globs=tuple(v))),
    "predecessors": (st.sets(names, max_size=2).map(sorted), lambda v: replace(BASE, predecessors=tuple(v))),
    "version of Python": (names, lambda v: replace(BASE, interpreter=replace(BASE.interpreter, version=v))),
    "platform": (names, lambda v: replace(BASE, interpreter=replace(BASE.interpreter, platform=v))),
    "packages": (
        st.lists(names, max_size=3, unique=True).map(sorted),
        lambda v: replace(BASE, interpreter=replace(BASE.interpreter, packages=tuple(f"{n}==1" for n in v))),
    ),
    "variables": (st.tuples(texts, texts), lambda v: _variables(*v)),
}
"""What can change a result: how to draw a value of it, and a step that has it."""

NOT_COUNTED: dict[str, tuple[Any, Callable[[Any], Ingredients]]] = {
    "key": (names, lambda v: _step(key=v)),
    "name": (names, lambda v: _step(name=v)),
    "compute target": (st.none() | names, lambda v: _step(compute=v)),
    "allow_reuse": (st.booleans(), lambda v: _step(allow_reuse=v)),
    "source directory": (names, lambda v: _step(source=SourceCode(directory=f"/{v}"))),
    "where an input is": (names, lambda v: _data(uri=f"file:///{v}/data.csv")),
    "counts of an input": (st.integers(0, 9), lambda v: _data(files=v, bytes=v)),
    "parameter that does not affect reuse": (
        scalars,
        lambda v: replace(BASE, parameters={**BASE.parameters, "verbosity": v}),
    ),
    "parameter of other steps": (scalars, lambda v: replace(BASE, parameters={**BASE.parameters, "unused": v})),
    "whether an output may replace data": (st.booleans(), lambda v: _output(overwrite=v)),
    "path of the interpreter": (names, lambda v: replace(BASE, interpreter=replace(BASE.interpreter, path=v))),
    "order of the predecessors": (
        st.permutations(["a.x.1", "b.y.1", "c.z.1"]),
        lambda v: replace(BASE, predecessors=tuple(v)),
    ),
}


def _of(ingredients: Ingredients) -> str:
    return fingerprint(preimage(ingredients))


@settings(max_examples=250)
@given(st.data())
def test_any_input_alone_decides_by_its_type_and_value(data: st.DataObject) -> None:
    strategy, with_value = COUNTED[data.draw(st.sampled_from(sorted(COUNTED)))]
    one, other = data.draw(strategy), data.draw(strategy)
    is_same = type(one) is type(other) and repr(one) == repr(other)
    assert (_of(with_value(one)) == _of(with_value(other))) is is_same


@settings(max_examples=100)
@given(st.data())
def test_what_cannot_change_a_result_never_decides(data: st.DataObject) -> None:
    strategy, with_value = NOT_COUNTED[data.draw(st.sampled_from(sorted(NOT_COUNTED)))]
    assert _of(with_value(data.draw(strategy))) == _of(with_value(data.draw(strategy)))


def test_no_two_inputs_can_stand_for_each_other() -> None:
    """One value, put into each place that takes a text."""
    value = "b" * 64
    places = ["kind", "version", "snapshot", "parameter", "bytes of an input", "name of a single file"]
    places += ["where an input is put", "datastore of an output", "path of an output", "version of Python", "platform"]
    assert len({_of(COUNTED[place][1](value)) for place in places}) == len(places)
