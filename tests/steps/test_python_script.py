"""PythonScriptStep: what its constructor takes and refuses."""

import warnings

import pytest

from refrain.environments.run_configuration import RunConfiguration
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import UserError
from refrain.steps.command import Interpreter, Literal
from refrain.steps.definition import SourceCode, StepDefinition
from refrain.steps.python_script import PythonScriptStep


def test_a_step_with_nothing_but_a_script(step, define, source):
    assert define(step()) == StepDefinition(
        key="train",
        name="train.py",
        kind="python_script",
        source=SourceCode(str(source)),
        command=(Interpreter(), Literal("train.py")),
    )


def test_the_script_gives_the_name():
    assert PythonScriptStep("a.py").name == "a.py"
    assert PythonScriptStep("a.py", "mine").name == "mine"
    assert repr(PythonScriptStep("a.py", "mine")) == "PythonScriptStep('mine')"


def test_settings_reach_the_definition(step, define):
    found = define(step(allow_reuse=False, version=2))
    assert (found.allow_reuse, found.version) == (False, "2")


def test_a_run_configuration_gives_environment_and_target(step, define):
    config = RunConfiguration()
    config.environment_variables = {"A": "1"}
    config.target = ("cluster", "AmlCompute")
    found = define(step(runconfig=config))
    assert (found.environment, found.compute) == (EnvironmentSpec(None, (("A", "1"),)), "cluster")
    assert define(step(runconfig=config, compute_target="other")).compute == "other"


def test_a_run_configuration_is_read_when_the_step_is_made(step, define):
    config = RunConfiguration()
    made = step(runconfig=config)
    config.environment_variables["A"] = "late"
    assert define(made).environment.variables == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"script_name": ""}, "PythonScriptStep needs a script_name, not ''"),
        ({"script_name": None}, "PythonScriptStep needs a script_name, not None"),
        ({"runconfig": {}}, r"Step 'a.py': runconfig must be a RunConfiguration, not \{\}"),
        (
            {"runconfig_pipeline_params": {"NodeCount": 2}},
            "runconfig_pipeline_params has 'NodeCount'. Known here: none. One process has no counts",
        ),
        ({"allow_reuse": "False"}, "Step 'a.py': allow_reuse must be True or False, not 'False'"),
        ({"allow_reuse": None}, "allow_reuse must be True or False, not None"),
        ({"params": ["a"]}, r"Step 'a.py': params must map names to values, not \['a'\]"),
    ],
)
def test_a_wrong_argument_is_named(options, message):
    with pytest.raises(UserError, match=message):
        PythonScriptStep(**{"script_name": "a.py", **options})


def test_hash_paths_is_accepted_with_a_warning():
    with pytest.warns(DeprecationWarning, match="Step 'a.py': parameter 'hash_paths' is deprecated and ignored"):
        PythonScriptStep("a.py", hash_paths=["b.py"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PythonScriptStep("a.py")


def test_the_documents_wrong_keyword_is_refused_as_in_azure():
    with pytest.raises(TypeError, match="target"):
        PythonScriptStep("a.py", target="cluster")
