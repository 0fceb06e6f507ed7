"""What the Airflow backend says without an Airflow; the acceptance tests submit to a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from refrain import Experiment, Pipeline, PythonScriptStep, Workspace
from refrain.errors import UserError
from refrain.execution.runner import Force, RunOptions
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


def test_single_steps_cannot_be_forced(pipeline: Pipeline) -> None:
    options = RunOptions(force=Force(steps=frozenset({"work"})))
    with pytest.raises(UserError, match="regenerate all outputs, not those of single steps"):
        AirflowBackend().submit(pipeline.workspace, pipeline.definition, {}, "e", options)


@pytest.mark.parametrize("status", [RunStatus.QUEUED, RunStatus.COMPLETED])
def test_without_a_server_the_workspace_is_believed(status: RunStatus) -> None:
    record = RunRecord("a" * 32, "p", "p", "e", status=status, origin={"kind": "airflow"})
    assert AirflowBackend().status(record) is status
