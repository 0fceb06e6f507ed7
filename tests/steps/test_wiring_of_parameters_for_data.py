"""Wiring of data that a parameter names, and of data paths."""

import pytest

from refrain.data.data_path import DataPath, DataPathComputeBinding
from refrain.data.parameters import PipelineParameter
from refrain.data.ports import FromDatastore, FromParameter, InputMode, InputPort
from refrain.errors import PipelineError
from refrain.steps.command import InputPath


@pytest.fixture
def parameter(store):
    return PipelineParameter("p", DataPath(store, "raw", name="raw"))


def test_a_pair_in_inputs_and_arguments_is_one_input(step, define, parameter):
    pair = (parameter, DataPathComputeBinding("download", "here"))
    found = define(step("--data", pair, inputs=[pair]))
    assert found.inputs == (InputPort("raw", FromParameter("p"), InputMode.DOWNLOAD, "here"),)
    assert found.command[-1] == InputPath("raw")


def test_a_pair_that_is_written_twice_is_one_input(step, define, parameter):
    binding = DataPathComputeBinding()
    found = define(step((parameter, binding), inputs=[(parameter, binding)]))
    assert (len(found.inputs), found.command[-1]) == (1, InputPath("raw"))


def test_two_bindings_of_one_path_are_two_inputs(step, define, store):
    path = DataPath(store, "raw")
    pairs = [(path, DataPathComputeBinding()), (path, DataPathComputeBinding("download"))]
    assert [port.name for port in define(step(*pairs, inputs=pairs)).inputs] == ["input_1", "input_2"]


def test_a_path_without_a_parameter_is_a_place(step, define, store):
    pair = (DataPath(store, "raw"), DataPathComputeBinding())
    assert define(step(inputs=[pair])).inputs == (InputPort("input_1", FromDatastore("workspaceblobstore", "raw")),)


def test_the_parameter_belongs_to_the_step(step, parameter):
    assert step(inputs=[(parameter, DataPathComputeBinding())]).parameters() == [parameter]


def test_a_pair_in_the_arguments_alone_is_refused(step, define, parameter):
    with pytest.raises(PipelineError, match="the argument 'raw' is data, but neither among the step's inputs"):
        define(step((parameter, DataPathComputeBinding())))


def test_a_parameter_that_names_data_is_no_argument(step, define, parameter):
    message = r"the parameter 'p' names data, so it cannot be passed by itself. Pass \(parameter, DataPathCompute"
    with pytest.raises(PipelineError, match=message):
        define(step(parameter))
    with pytest.raises(PipelineError, match=message):
        define(step(params={"x": parameter}))


def test_a_data_path_by_itself_is_no_input(step, define, store):
    with pytest.raises(PipelineError, match=r"a DataPath cannot be an input by itself; pass \(path, DataPathComp"):
        define(step(inputs=[DataPath(store, "raw")]))
    with pytest.raises(PipelineError, match="is data, but neither among the step's inputs"):
        define(step(DataPath(store, "raw")))
