"""A pipeline's DAG: its tasks, their order, its params and its settings."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from refrain import (
    DataPath,
    DataPathComputeBinding,
    Dataset,
    DatasetConsumptionConfig,
    Datastore,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PythonScriptStep,
    StepSequence,
    Workspace,
)
from refrain.compute.target import Target, TargetTable
from refrain.errors import UserError
from refrain.pipelines.pipeline import defining
from refrain_operators import StepOperator, pipeline_dag


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    source = tmp_path / "source"
    source.mkdir()
    (source / "work.py").write_text("")

    def step(name: str, *arguments: Any, **ports: Any) -> PythonScriptStep:
        return PythonScriptStep("work.py", name=name, arguments=list(arguments), source_directory=str(source), **ports)

    raw, model = PipelineData("raw"), PipelineData("model", pipeline_output_name="result")
    alpha, level = PipelineParameter("alpha", 0.5), PipelineParameter("level", "info", affects_reuse=False)
    steps = [
        step("fetch data", raw, level, outputs=[raw]),
        step("train", raw, model, alpha, inputs=[raw], outputs=[model]),
        StepSequence([step("first"), step("second")]),
    ]
    return Pipeline(Workspace(tmp_path / "workspace"), steps, name="training")


def _dag(pipeline: Pipeline, **settings: Any) -> Any:
    dag = pipeline_dag(pipeline, **settings)
    assert dag is not None
    return dag


def _steps(dag: Any) -> list[StepOperator]:
    return [task for task in dag.tasks if isinstance(task, StepOperator)]


def test_each_step_is_a_task_behind_those_whose_data_it_reads(pipeline: Pipeline) -> None:
    dag = _dag(pipeline)
    edges = {task.task_id: task.upstream_task_ids for task in dag.tasks}
    steps = {"fetch_data": {"plan"}, "train": {"fetch_data"}, "first": {"plan"}, "second": {"first"}}
    assert edges == {"plan": set(), **steps}
    assert dag.get_task("fetch_data").task_display_name == "fetch data"


def test_the_planning_task_can_be_left_out(pipeline: Pipeline) -> None:
    edges = {task.task_id: task.upstream_task_ids for task in _dag(pipeline, has_plan=False).tasks}
    assert edges == {"fetch_data": set(), "train": {"fetch_data"}, "first": set(), "second": {"first"}}


def test_the_planning_task_makes_way_for_a_step_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text("")
    steps = [PythonScriptStep("work.py", name="plan", source_directory=str(tmp_path))]
    dag = _dag(Pipeline(Workspace(tmp_path / "workspace"), steps, name="named"))
    assert {task.task_id: task.upstream_task_ids for task in dag.tasks} == {"plan_": set(), "plan": {"plan_"}}


def test_parameters_are_typed_params_of_the_dag(pipeline: Pipeline) -> None:
    params = _dag(pipeline).params
    found = {name: (params[name], params.get_param(name).schema["type"]) for name in params}
    assert found == {
        "alpha": (0.5, "number"),
        "level": ("info", ["string", "null"]),  # the form in the UI sends null for an empty text
        "regenerate_outputs": (False, ["boolean", "array"]),
    }
    assert "Does not affect reuse." in params.get_param("level").description


def test_data_is_a_text_in_the_form_and_an_object_for_programs(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text("")
    workspace = Workspace(tmp_path / "workspace")
    pair = (PipelineParameter("raw", DataPath(Datastore(workspace), "raw/1")), DataPathComputeBinding())
    step = PythonScriptStep("work.py", "reads", [pair], inputs=[pair], source_directory=str(tmp_path))
    param = _dag(Pipeline(workspace, [step])).params.get_param("raw")
    assert (param.value, param.schema["type"]) == ("workspaceblobstore/raw/1", ["string", "object", "null"])
    assert param.description == "DataPath, as datastore/path. Used by reads."


def test_a_dataset_without_a_name_is_left_empty_in_the_form(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text("")
    files = PipelineParameter("files", Dataset.File.from_files(str(tmp_path)))
    data = DatasetConsumptionConfig("data", files).as_mount()
    step = PythonScriptStep("work.py", "reads", [data], source_directory=str(tmp_path))
    param = _dag(Pipeline(Workspace(tmp_path / "workspace"), [step])).params.get_param("files")
    assert param.value is None
    assert param.description == (
        "FileDataset, as name or name:version of a registered dataset. Used by reads. Left empty, it is the pipeline's "
        "own."
    )


def test_names_and_settings_are_the_pipelines_unless_given(pipeline: Pipeline) -> None:
    plain = _dag(pipeline)
    assert (plain.dag_id, plain.tags, plain.catchup) == ("training", {"refrain"}, False)
    task = plain.get_task("train")
    assert (task.pipeline, task.experiment, task.workspace) == ("training", "training", pipeline.workspace.root)
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    given = _dag(pipeline, dag_id="other", experiment="trial", schedule="@daily", start_date=start, tags=["mine"])
    assert (given.dag_id, given.tags, given.start_date) == ("other", {"refrain", "mine"}, start)
    assert (given.get_task("train").pipeline, given.get_task("train").experiment) == ("training", "trial")


def test_a_failed_step_stops_the_run_unless_told_otherwise(pipeline: Pipeline) -> None:
    assert [step.stops_run for step in _steps(_dag(pipeline))] == [True] * 4
    assert [step.stops_run for step in _steps(_dag(pipeline, continue_on_step_failure=True))] == [False] * 4


def test_airflows_fail_fast_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(UserError, match=r"fail_fast would show a failed run .* as a success\. Leave it out"):
        pipeline_dag(pipeline, fail_fast=True)


def test_default_args_reach_the_tasks(pipeline: Pipeline) -> None:
    dag = _dag(pipeline, default_args={"retries": 5, "retry_delay": timedelta(seconds=7)})
    assert {(task.retries, task.retry_delay.total_seconds()) for task in dag.tasks} == {(5, 7.0)}
    assert {task.retries for task in _dag(pipeline).tasks} == {2}


def test_named_outputs_are_known_to_the_tasks(pipeline: Pipeline) -> None:
    assert _dag(pipeline).get_task("first").pipeline_outputs == {"result": ("train", "model")}


def test_a_file_that_is_loaded_for_its_pipelines_makes_no_dag(pipeline: Pipeline) -> None:
    with defining():
        assert pipeline_dag(pipeline) is None


def test_the_first_of_the_steps_that_share_a_source_directory_warns_in_its_log(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text("")
    steps = [PythonScriptStep(f"{name}.py", name, source_directory=str(tmp_path)) for name in ("one", "two")]
    dag = _dag(Pipeline(Workspace(tmp_path / "workspace"), steps, name="p"))
    warnings = {step.task_id: step.warning for step in _steps(dag)}
    assert warnings["one"].startswith("Steps one, two share the source directory ")
    assert warnings["two"] == ""


def test_a_registered_compute_target_gives_its_steps_a_queue_and_a_pool(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    (tmp_path / "a.py").touch()
    TargetTable(workspace.state.registry).put(Target("big", "local", {}, queue="gpu", pool="cards"))
    steps = [
        PythonScriptStep("a.py", name=name, source_directory=tmp_path, compute_target=target)
        for name, target in (("one", "big"), ("two", "unknown"), ("three", None))
    ]

    placed = {step.task_id: (step.queue, step.pool) for step in _steps(_dag(Pipeline(workspace, steps)))}

    assert placed == {
        "one": ("gpu", "cards"),
        "two": ("default", "default_pool"),
        "three": ("default", "default_pool"),
    }
