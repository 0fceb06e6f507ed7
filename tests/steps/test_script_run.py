"""ScriptRunConfig: a script with all that it runs in."""

import pytest

from refrain import (
    CommandStep,
    Environment,
    MpiConfiguration,
    PythonScriptStep,
    RunConfiguration,
    ScriptRunConfig,
)
from refrain.errors import UserError


def test_a_script_becomes_a_step(source, define):
    config = ScriptRunConfig(
        str(source), "train.py", ["--rate", 1], compute_target="cluster", environment=Environment("e", None, {"A": "1"})
    )
    step = config.step()
    found = define(step)
    assert isinstance(step, PythonScriptStep)
    assert [word.text for word in found.command[1:]] == ["train.py", "--rate", "1"]
    assert (found.compute, found.environment.variables) == ("cluster", (("A", "1"),))


def test_what_is_set_later_counts(source, define):
    config = ScriptRunConfig(str(source), "train.py")
    config.run_config.environment_variables["A"] = "late"
    assert define(config.step()).environment.variables == (("A", "late"),)


def test_a_command_becomes_a_command_step(source):
    assert isinstance(ScriptRunConfig(str(source), command="echo").step(), CommandStep)


def test_a_run_configuration_may_bring_the_script(source):
    config = ScriptRunConfig(str(source), run_config=RunConfiguration("train.py", ["a"]))
    assert (config.script, config.arguments) == ("train.py", ["a"])


def test_where_a_run_configuration_is_given_the_others_have_no_effect(source):
    with pytest.warns(
        UserWarning, match="compute_target, distributed_job_config has no effect where run_config is given"
    ):
        config = ScriptRunConfig(
            str(source),
            "train.py",
            run_config=RunConfiguration(),
            compute_target="cluster",
            distributed_job_config=MpiConfiguration(),
        )
    assert config.run_config.target is None


def test_what_is_not_supported_warns(source):
    with pytest.warns(UserWarning, match="max_run_duration_seconds has no effect"):
        ScriptRunConfig(str(source), "train.py", max_run_duration_seconds=60)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs a script or a command, and not both"),
        ({"script": "a.py", "command": "b"}, "needs a script or a command, and not both"),
        ({"command": "b", "arguments": [1]}, "arguments go with a script; put them into the command's list"),
        ({"script": "a.py", "run_config": {}}, r"run_config must be a RunConfiguration, not \{\}"),
        ({"script": "a.py", "environment": "e"}, "'e' is no Environment"),
        ({"script": "a.py", "distributed_job_config": 2}, "distributed_job_config must be an MpiConfiguration"),
    ],
)
def test_what_makes_no_configuration_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        ScriptRunConfig(".", **options)
