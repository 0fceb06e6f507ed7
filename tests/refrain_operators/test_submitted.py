"""Submitted pipelines: kept once, loaded as DAGs, the latest first."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from refrain import Pipeline, PythonScriptStep, RunConfiguration, Workspace
from refrain.errors import UserError
from refrain.execution.sources import Sources
from refrain.steps.definition import PipelineDefinition
from refrain_operators.submitted import KIND, MOST_LOADED, store, submitted_dags


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def definition(workspace: Workspace, tmp_path: Path) -> PipelineDefinition:
    return _frozen(workspace, tmp_path / "source")


def _frozen(workspace: Workspace, source: Path, runconfig: RunConfiguration | None = None) -> PipelineDefinition:
    source.mkdir()
    (source / "work.py").write_text("")
    step = PythonScriptStep("work.py", source_directory=str(source), runconfig=runconfig)
    pipeline = Pipeline(workspace, [step], name="my pipeline")
    return Sources(workspace.state).freeze(pipeline.definition)


def test_a_stored_pipeline_is_loaded_as_a_dag(workspace: Workspace, definition: PipelineDefinition) -> None:
    dag_id = store(definition, "trial", True, workspace.state)
    dags = submitted_dags(workspace)
    assert set(dags) == {dag_id}
    assert dags[dag_id].tags == {"refrain", "submitted"}
    task = dags[dag_id].get_task("work")
    assert (task.experiment, task.pipeline, task.stops_run) == ("trial", "my pipeline", False)
    assert task.step == definition.steps[0]


def test_an_equal_pipeline_is_stored_once(workspace: Workspace, definition: PipelineDefinition) -> None:
    ids = {store(definition, "trial", False, workspace.state) for _ in range(2)}
    assert len(ids) == 1
    assert workspace.state.registry.versions(KIND, ids.pop()) == [1]
    assert store(definition, "other", False, workspace.state) != store(definition, "trial", True, workspace.state)


def test_of_many_the_latest_are_loaded_and_one_submitted_again_is_among_them(
    workspace: Workspace, definition: PipelineDefinition
) -> None:
    ids = [
        store(replace(definition, name=f"p{number}"), "trial", False, workspace.state)
        for number in range(MOST_LOADED + 1)
    ]
    for age, dag_id in enumerate(reversed(ids)):
        os.utime(workspace.state.objects.path(f"registry/{KIND}/{dag_id}/1"), (1e9 - age, 1e9 - age))
    assert set(submitted_dags(workspace)) == set(ids[1:])
    store(replace(definition, name="p0"), "trial", False, workspace.state)
    assert set(submitted_dags(workspace)) == {ids[0], *ids[2:]}


def test_a_damaged_one_is_told_of_and_does_not_take_the_others_down(
    workspace: Workspace, definition: PipelineDefinition, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = (store(replace(definition, name=name), "trial", False, workspace.state) for name in ("good", "bad"))
    workspace.state.objects.path(f"registry/{KIND}/{bad}/1").write_text('{"schema": 1}')
    assert set(submitted_dags(workspace)) == {good}
    assert f"The submitted pipeline {bad} cannot be read and is left out" in caplog.text


@pytest.mark.parametrize(
    ("name", "value"), [("API_TOKEN", "very secret"), ("DATABASE", "postgresql://reader:very-secret@db/prices")]
)
def test_the_value_of_a_secret_is_not_stored(workspace: Workspace, tmp_path: Path, name: str, value: str) -> None:
    runconfig = RunConfiguration()
    runconfig.environment.environment_variables = {name: value}
    definition = _frozen(workspace, tmp_path / "source", runconfig)
    with pytest.raises(UserError, match=rf"'work\.py' has the environment variable '{name}', whose value would be"):
        store(definition, "trial", False, workspace.state)
    assert workspace.state.registry.names(KIND) == []
