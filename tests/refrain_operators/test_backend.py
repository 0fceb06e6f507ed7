"""What the Airflow backend says without an Airflow; the acceptance tests submit to a real one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from refrain import Experiment, Pipeline, PipelineParameter, PythonScriptStep, Workspace
from refrain.errors import UserError
from refrain.execution.runner import RunOptions
from refrain.tracking.record import RunRecord, RunStatus
from refrain_operators.backend import AirflowBackend


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/work.py").write_text("")
    step = PythonScriptStep("work.py", source_directory=str(tmp_path / "source"))
    return Pipeline(Workspace(tmp_path / "workspace"), [step], name="p")


def test_a_submission_needs_to_know_the_server(pipeline: Pipeline) -> None:
    with pytest.raises(UserError, match="Set REFRAIN_AIRFLOW_URL to the address of the Airflow server"):
        Experiment(pipeline.workspace, "e").submit(pipeline, backend_name="airflow")


def test_a_parameter_of_a_name_that_airflow_s_runs_need_is_refused(pipeline: Pipeline) -> None:
    definition = replace(pipeline.definition, parameters=(PipelineParameter("regenerate_outputs", 1),))
    with pytest.raises(UserError, match=r"has a parameter 'regenerate_outputs'.* Give the parameter another name"):
        AirflowBackend().submit(pipeline.workspace, definition, {}, "e", RunOptions())


@pytest.mark.parametrize("status", [RunStatus.QUEUED, RunStatus.COMPLETED])
def test_without_a_server_the_workspace_is_believed(status: RunStatus) -> None:
    record = RunRecord("a" * 32, "p", "p", "e", status=status, origin={"kind": "airflow"})
    assert AirflowBackend().status(record) is status
