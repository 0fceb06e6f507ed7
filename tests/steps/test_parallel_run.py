from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refrain import (
    Dataset,
    Datastore,
    Environment,
    OutputFileDatasetConfig,
    ParallelRunConfig,
    ParallelRunStep,
    PipelineData,
    PipelineParameter,
    Workspace,
)
from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.ports import InputMode
from refrain.errors import PipelineError, UserError
from refrain.steps.codec import decode, encode
from refrain.steps.command import Literal, OutputPath, ParameterValue, Setting, UnfinishedPath
from refrain.steps.definition import StepDefinition


@pytest.fixture
def images(tmp_path: Path) -> Any:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").touch()
    return Dataset.File.from_files(str(tmp_path / "images"))


@pytest.fixture
def table(tmp_path: Path) -> Any:
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    return Dataset.Tabular.from_delimited_files(str(tmp_path / "table.csv"))


@pytest.fixture
def score(source: Path, images: Any):
    """Makes a step of the script ``score.py``."""
    (source / "score.py").write_text("def run(mini_batch): return mini_batch")

    def make(*arguments: Any, name: str = "score", **options: Any) -> ParallelRunStep:
        steps = {"inputs": [images.as_named_input("images")], "output": PipelineData("scores")}
        names = ("inputs", "output", "side_inputs", "allow_reuse")
        settings = {
            "environment": Environment(), "entry_script": "score.py", "error_threshold": 0, "source_directory": source,
            "output_action": "append_row", "compute_target": "cluster", "node_count": 1,
        }  # fmt: skip
        settings.update({key: value for key, value in options.items() if key not in names})
        steps.update({key: value for key, value in options.items() if key in names})
        return ParallelRunStep(name, ParallelRunConfig(**settings), arguments=list(arguments) or None, **steps)

    return make


def value_of(step: StepDefinition, name: str) -> Any:
    """Return what follows an option on the command line; None where it is not there."""
    command = list(step.command)
    return command[command.index(Literal(name)) + 1] if Literal(name) in command else None


def test_it_is_a_process_that_counts_what_decides_its_result(score, define) -> None:
    step = define(score(mini_batch_size=5, error_threshold=7, append_row_file_name="rows.txt"))
    assert step.kind == "parallel_run"
    assert step.command[1:5] == tuple(
        map(Literal, ("-m", "refrain.runtime.parallel", "--scoring_module_name", "score.py"))
    )
    assert value_of(step, "--mini_batch_size") == Literal("5")
    assert value_of(step, "--error_threshold") == Literal("7")
    assert value_of(step, "--append_row_file_name") == Literal("rows.txt")
    assert value_of(step, "--output") == OutputPath("scores")
    assert value_of(step, "--refrain_journal") == UnfinishedPath()
    assert step.compute == "cluster"


def test_how_many_processes_work_and_what_they_log_does_not_count(score, define) -> None:
    step = define(score(node_count=2, process_count_per_node=PipelineParameter("processes", 3), logging_level="DEBUG"))
    assert value_of(step, "--refrain_node_count") == Setting("2")
    assert value_of(step, "--process_count_per_node") == ParameterValue("processes", is_counted=False)
    assert value_of(step, "--logging_level") == Setting("DEBUG")


@pytest.mark.parametrize("threshold", [0, 5])
def test_timeouts_and_tries_count_only_if_items_may_fail(score, define, threshold: int) -> None:
    step = define(score(error_threshold=threshold, run_max_try=2, run_invocation_timeout=9))
    expected = (Literal("2"), Literal("9")) if threshold else (Setting("2"), Setting("9"))
    assert (value_of(step, "--run_max_try"), value_of(step, "--run_invocation_timeout")) == expected


def test_settings_that_are_parameters_get_their_values_from_the_run(score, define) -> None:
    step = score(mini_batch_size=PipelineParameter("size", 10))
    assert value_of(define(step), "--mini_batch_size") == ParameterValue("size")
    assert [parameter.name for parameter in step.parameters()] == ["size"]


def test_files_are_mounted_and_named_on_the_command_line(score, define, images: Any) -> None:
    step = define(score(inputs=[images.as_named_input("one"), images.as_named_input("two").as_download()]))
    assert [(port.name, port.mode) for port in step.inputs] == [("one", InputMode.MOUNT), ("two", InputMode.MOUNT)]
    assert (value_of(step, "--input_fds_0"), value_of(step, "--input_fds_1")) == (Literal("one"), Literal("two"))


def test_a_table_is_given_as_an_object(score, define, table: Any) -> None:
    step = define(score(inputs=[table.as_named_input("sales")], mini_batch_size="1KB"))
    assert [(port.name, port.mode, bool(port.recipe)) for port in step.inputs] == [("sales", InputMode.DIRECT, True)]
    assert (value_of(step, "--input_ds_0"), value_of(step, "--mini_batch_size")) == (Literal("sales"), Literal("1024"))


def test_files_that_are_cut_by_partition_keys_are_given_as_an_object(score, define, images: Any) -> None:
    step = define(score(partition_keys=["country"], inputs=[images.as_named_input("images").as_mount()]))
    assert [(port.mode, bool(port.recipe)) for port in step.inputs] == [(InputMode.DIRECT, True)]
    assert value_of(step, "--partition_keys") == Literal('["country"]')
    assert value_of(step, "--input_ds_0") == Literal("images")


def test_the_outputs_of_other_steps_are_inputs(score, define, step) -> None:
    made, tables = PipelineData("made"), OutputFileDatasetConfig("tables").read_delimited_files()
    before = step("--out", made, tables, outputs=[made.as_dataset(), tables])
    assert value_of(define(before, score(inputs=[made.as_dataset()])), "--input_fds_0") == Literal("made")
    after = score(inputs=[tables.as_input("rows")], output=PipelineData("other"))
    assert value_of(define(before, after), "--input_ds_0") == Literal("rows")


def test_a_dataset_parameter_is_an_input(score, define, table: Any) -> None:
    given = DatasetConsumptionConfig("rows", PipelineParameter("data", table))
    step = score(inputs=[given])
    assert step.is_tabular
    assert value_of(define(step), "--input_ds_0") == Literal("rows")
    assert [parameter.name for parameter in step.parameters()] == ["data"]


def test_side_inputs_are_inputs_that_are_not_cut(score, define, images: Any, store: Datastore) -> None:
    labels = images.as_named_input("labels").as_mount("/tmp/labels")
    step = define(score("--labels", labels, side_inputs=[labels]))
    assert [port.name for port in step.inputs] == ["images", "labels"]
    assert value_of(step, "--labels").name == "labels"
    assert value_of(step, "--input_fds_1") is None


def test_the_users_arguments_stand_behind_the_drivers(score, define) -> None:
    words = define(score("--model", "iris", "--depth", PipelineParameter("depth", 3))).command
    place = words.index(Literal("--model"))
    assert words[place:] == (
        *map(Literal, ("--model", "iris", "--depth")), ParameterValue("depth"), Literal("--input_fds_0"),
        Literal("images"),
    )  # fmt: skip
    assert place > words.index(Literal("--output"))


def test_a_summary_needs_no_output(score, define) -> None:
    step = define(score(output=None, output_action="summary_only"))
    assert (step.outputs, value_of(step, "--output")) == ((), None)


def test_run_may_be_called_without_data(score, define) -> None:
    step = define(score("--rank_mini_batch_count", 4, inputs=[]))
    assert (step.inputs, value_of(step, "--rank_mini_batch_count")) == ((), Literal("4"))


def test_a_definition_is_read_back_as_it_was_written(score, define) -> None:
    step = define(score(process_count_per_node=PipelineParameter("processes", 3)))
    assert decode(StepDefinition, encode(step)) == step


def test_a_script_that_is_not_there_is_named(score, define) -> None:
    with pytest.raises(PipelineError, match=r"the script 'other.py' is not in the source_directory"):
        define(score(entry_script="other.py"))


@pytest.mark.parametrize("name", ["ab", "Score", "1score", "score-", "s" * 33, "", None])
def test_a_name_that_azure_ml_refuses_is_refused(score, name: Any) -> None:
    with pytest.raises(UserError, match="the name must have 3 to 32 characters"):
        score(name=name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": []}, "has no inputs. Give it datasets, or --rank_mini_batch_count N among the arguments"),
        ({"inputs": "images"}, "inputs must be a list, not 'images'"),
        ({"inputs": [PipelineData("x")]}, "cannot be cut into mini-batches. Use dataset.as_named_input('name')"),
        ({"output": None}, "needs an output, unless its output_action is 'summary_only'"),
        ({"allow_reuse": "no"}, "allow_reuse must be True or False, not 'no'"),
    ],
)
def test_arguments_that_cannot_be_right_are_refused(score, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        score(**options)
    assert message in str(caught.value)


def test_files_and_tables_are_not_cut_together(score, images: Any, table: Any) -> None:
    with pytest.raises(UserError, match="its inputs must be all of files or all of tables"):
        score(inputs=[images.as_named_input("images"), table.as_named_input("table")])


@pytest.mark.parametrize("word", ["--mini_batch_size", "--output=x", "--run_max_try", "--partition_keys"])
def test_arguments_that_are_the_drivers_own_are_refused(score, word: str) -> None:
    with pytest.raises(UserError, match=r"the argument '.*' is Refrain's own, which the script sees as well"):
        score(word, "3")


def test_arguments_begin_with_a_name(score) -> None:
    with pytest.raises(UserError, match="the arguments must begin with a name such as '--model', not with 'iris'"):
        score("iris")


def test_a_config_is_needed(images: Any, workspace: Workspace) -> None:
    with pytest.raises(UserError, match="needs a ParallelRunConfig, not None"):
        ParallelRunStep("score", None, [images.as_named_input("images")], PipelineData("scores"))
