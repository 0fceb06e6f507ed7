"""Several processes of one step, as its definition asks for them."""

import pytest

from refrain import (
    CommandStep,
    MpiConfiguration,
    PipelineParameter,
    PyTorchConfiguration,
    RunConfiguration,
    TensorflowConfiguration,
)
from refrain.errors import UserError
from refrain.steps.command import Interpreter, Literal, ParameterValue
from refrain.steps.launching import LAUNCHER, is_launched


def distributed(job):
    config = RunConfiguration()
    config.distribute(job)
    return config


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (MpiConfiguration(2), ("mpi", "2", "0", "1")),
        (PyTorchConfiguration(process_count=3), ("pytorch", "3", "0", "1")),
        (PyTorchConfiguration("Gloo"), ("pytorch", "1", "0", "1")),
        (TensorflowConfiguration(2, 1), ("tensorflow", "2", "1", "1")),
    ],
)
def test_the_launcher_is_put_around_the_command(step, define, job, words):
    found = define(step("a", runconfig=distributed(job)))
    own = (Interpreter(), Literal("train.py"), Literal("a"))
    assert found.command == (*LAUNCHER, *map(Literal, words), *own)
    assert is_launched(found.command)
    assert not is_launched(define(step("a")).command)


def test_a_command_is_launched_likewise(source, define):
    found = define(CommandStep("true", runconfig=distributed(MpiConfiguration(2)), source_directory=source))
    assert found.command[7:9] == (Literal("/bin/sh"), Literal("-c"))


@pytest.mark.parametrize(
    ("framework", "communicator", "kind"),
    [
        ("Python", "IntelMpi", "mpi"),
        ("Python", "Mpi", "mpi"),
        ("PyTorch", "Nccl", "pytorch"),
        ("TensorFlow", "ParameterServer", "tensorflow"),
    ],
)
def test_the_older_settings_ask_for_the_same(step, define, framework, communicator, kind):
    config = RunConfiguration(framework=framework, communicator=communicator)
    assert define(step(runconfig=config)).command[3] == Literal(kind)


def test_counts_may_be_pipeline_parameters(step, define):
    count = PipelineParameter("count", 2)
    given = {"MpiProcessCountPerNode": count, "NodeCount": PipelineParameter("nodes", 1)}
    made = step(runconfig=distributed(MpiConfiguration()), runconfig_pipeline_params=given)
    assert define(made).command[4:7] == (ParameterValue("count"), Literal("0"), ParameterValue("nodes"))
    assert [parameter.name for parameter in made.parameters()] == ["count", "nodes"]


def several_nodes():
    config = RunConfiguration()
    config.node_count = 2
    return config


@pytest.mark.parametrize(
    ("config", "given", "message"),
    [
        (several_nodes(), {}, "node_count is 2, but a step runs on one machine. Set it to 1"),
        (distributed(MpiConfiguration(2, node_count=4)), {}, "node_count is 4"),
        (distributed(MpiConfiguration(0)), {}, "the number of processes must be 1 or more, not 0"),
        (
            distributed(PyTorchConfiguration(process_count="4")),
            {},
            "the number of processes must be 1 or more, not '4'",
        ),
        (distributed(TensorflowConfiguration(1, -1)), {}, "the number of parameter servers must be 0 or more, not -1"),
        (RunConfiguration(communicator="Carrier"), {}, "Step 'train.py': The communicator 'Carrier' .* is not known"),
        (
            distributed(MpiConfiguration()),
            {"TensorflowWorkerCount": PipelineParameter("n", 1)},
            "has 'TensorflowWorkerCount'. Known here: MpiProcessCountPerNode, NodeCount",
        ),
        (distributed(MpiConfiguration()), {"NodeCount": 2}, "'NodeCount' must be a PipelineParameter, not 2"),
    ],
)
def test_what_cannot_be_launched_is_refused(step, config, given, message):
    with pytest.raises(UserError, match=message):
        step(runconfig=config, runconfig_pipeline_params=given)


def test_only_the_three_kinds_are_known():
    with pytest.raises(UserError, match=r"distributed_job_config must be an MpiConfiguration, .* not 4"):
        RunConfiguration().distribute(4)
