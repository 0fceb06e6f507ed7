"""CommandStep: what becomes of a command line."""

import pytest

from refrain import CommandStep, PipelineData, PipelineParameter, PythonScriptStep, RunConfiguration, ScriptRunConfig
from refrain.data.data_path import DataPath
from refrain.errors import PipelineError, UserError
from refrain.steps.command import InputPath, Literal, OutputPath, ParameterValue


def shell(text, *values):
    return (Literal("/bin/sh"), Literal("-c"), Literal(text), Literal("sh"), *values)


@pytest.fixture
def command(source, define):
    """Returns the command line that a command becomes."""
    return lambda command, **options: define(CommandStep(command, source_directory=source, **options)).command


def test_a_text_is_the_shells(command):
    assert command("python train.py | tee log && echo $HOME") == shell("python train.py | tee log && echo $HOME")


def test_the_parts_of_a_list_are_joined_with_spaces(command):
    assert command(["Rscript a.R --data", "--output_folder outputs", 3]) == shell(
        "Rscript a.R --data --output_folder outputs 3"
    )


def test_data_and_parameters_are_words_of_their_own(source, define):
    table, out, rate = PipelineData("table"), PipelineData("out"), PipelineParameter("rate", 0.5)
    first = PythonScriptStep("train.py", arguments=[table], outputs=[table], source_directory=source)
    step = CommandStep(["cp", table, out, "--rate", rate], inputs=[table], outputs=[out], source_directory=source)
    found = define(first, step)
    assert found.command == shell(
        'cp "${1}" "${2}" --rate "${3}"', InputPath("table"), OutputPath("out"), ParameterValue("rate")
    )
    assert found.parameters == (("rate", ParameterValue("rate")),)


def test_a_parameter_may_be_named_in_a_part_of_its_own(command):
    given = {"rate": PipelineParameter("rate", 1)}
    assert command(["run --rate", "parameter:rate"], params=given) == shell('run --rate "${1}"', ParameterValue("rate"))


def test_what_is_no_text_is_one_word(command, tmp_path):
    assert command(["ls", tmp_path / "a b"]) == shell(f"ls '{tmp_path}/a b'")


@pytest.mark.parametrize(
    ("text", "name"), [("python a.py", "python"), ("'/opt/my tool' x", "my tool"), ("a&&b", "a&&b")]
)
def test_it_is_called_after_its_first_word(text, name):
    assert CommandStep(text).name == f"CommandStep_{name}"
    assert CommandStep(text, name="other").name == "other"


def test_a_script_run_config_brings_its_settings(source, define):
    config = ScriptRunConfig(str(source), command=["echo", "hi"], compute_target="cluster")
    config.run_config.environment_variables["A"] = "1"
    found = define(CommandStep(runconfig=config))
    assert found.command == shell("echo hi")
    assert found.source.directory == str(source)
    assert (found.compute, found.environment.variables) == ("cluster", (("A", "1"),))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "CommandStep needs a command, a text or a list .*, not None"),
        ({"command": " "}, "not ' '"),
        ({"command": []}, r"not \[\]"),
        ({"command": 5}, "not 5"),
        ({"command": "echo 'a"}, 'no closing quotation in "echo \'a"; each part of a command closes'),
        ({"command": ["echo", '"a', 'b"']}, "no closing quotation"),
        ({"command": f"cat {object()}"}, "holds an object that was put into a text. Give it as a part of its own"),
        ({"command": "a", "runconfig": {}}, r"runconfig must be a RunConfiguration, not \{\}"),
        (
            {"command": "a", "runconfig": ScriptRunConfig(".", command="b")},
            "command is given by the step and by its ScriptRunConfig; give it once",
        ),
        ({"runconfig": ScriptRunConfig(".", "a.py")}, "CommandStep needs a command"),
    ],
)
def test_what_makes_no_command_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        CommandStep(**options)


def test_data_in_a_text_that_is_not_declared_is_refused(source, define):
    with pytest.raises(PipelineError, match="the argument 'out' is data, but neither among the step's inputs"):
        define(CommandStep(["cat", PipelineData("out")], source_directory=source))


def test_a_source_directory_must_be_there(define):
    with pytest.raises(PipelineError, match="the source_directory '/no/such' does not exist"):
        define(CommandStep("a", source_directory="/no/such"))


def test_a_data_path_is_an_input_here_too(source, store, define):
    from refrain import DataPathComputeBinding

    pair = (DataPath(store, "raw"), DataPathComputeBinding())
    found = define(CommandStep(["ls", pair], inputs=[pair], source_directory=source))
    assert found.command == shell('ls "${1}"', InputPath(found.inputs[0].name))


def test_settings_are_those_of_every_process_step(source, define):
    config = RunConfiguration()
    config.environment_variables["A"] = "1"
    found = define(CommandStep("a", runconfig=config, allow_reuse=False, version=2, source_directory=source))
    assert (found.kind, found.environment.variables, found.allow_reuse, found.version) == (
        "command",
        (("A", "1"),),
        False,
        "2",
    )
