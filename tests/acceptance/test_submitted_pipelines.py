"""A pipeline that is submitted, to this machine and to Airflow: the same program sees the same things."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from acceptance.example import PATIENCE, eventually
from acceptance.running_airflow import RunningAirflow
from refrain import Experiment, Pipeline, PipelineData, PipelineParameter, PipelineRun, PythonScriptStep, Workspace
from refrain.errors import ParameterError, RunFailedError

LOADER = Path(__file__).parents[2] / "dags/submitted_pipelines.py"
MAKE = """
import sys, time
print("making", sys.argv[2], flush=True)
if sys.argv[2] == "fail":
    sys.exit(5)
if sys.argv[2] == "wait":
    time.sleep(654321)
open(sys.argv[1], "w").write(sys.argv[2])
"""
COPY = """
import sys
open(sys.argv[2], "w").write(open(sys.argv[1]).read() + ", copied")
"""


@pytest.fixture(params=["local", "airflow"])
def backend_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def loader(airflow: RunningAirflow) -> None:
    """Let the session's Airflow take submissions."""
    shutil.copy(LOADER, airflow.dags_folder)


@pytest.fixture
def workspace(airflow: RunningAirflow, loader: None, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace of the session's Airflow, to which the environment points."""
    monkeypatch.setenv("REFRAIN_AIRFLOW_URL", airflow.url)
    monkeypatch.setenv("REFRAIN_AIRFLOW_USERNAME", "admin")
    monkeypatch.setenv("REFRAIN_AIRFLOW_PASSWORD", airflow.password)
    return Workspace(airflow.workspace)


@pytest.fixture
def pipeline(workspace: Workspace, tmp_path: Path, backend_name: str) -> Pipeline:
    for name, source in {"make": MAKE, "copy": COPY}.items():
        (tmp_path / name).mkdir()
        # Each test's pipeline is another one.
        (tmp_path / name / f"{name}.py").write_text(f"{source}# {backend_name} {tmp_path}\n")
    made, copied = PipelineData("made"), PipelineData("copied", pipeline_output_name="result")
    make = PythonScriptStep(
        "make.py",
        name="make data",
        arguments=[made, PipelineParameter("what", "something")],
        outputs=[made],
        source_directory=str(tmp_path / "make"),
    )
    copy = PythonScriptStep(
        "copy.py",
        name="copy",
        arguments=[made, copied],
        inputs=[made],
        outputs=[copied],
        source_directory=str(tmp_path / "copy"),
    )
    return Pipeline(workspace, [make, copy], name=f"submitted to {backend_name}")


def _submit(pipeline: Pipeline, backend_name: str, what: str, **options: bool) -> PipelineRun:
    return Experiment(pipeline.workspace, "submissions").submit(
        pipeline, pipeline_parameters={"what": what}, backend_name=backend_name, tags={"by": "test"}, **options
    )


def test_a_submitted_run_is_followed_to_its_end_and_read(
    pipeline: Pipeline, backend_name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _submit(pipeline, backend_name, "a thing")
    assert run.wait_for_completion(timeout_seconds=PATIENCE) == "Finished"
    shown = capsys.readouterr().out
    assert f"PipelineRunId: {run.id}" in shown
    assert "[make data] making a thing" in shown
    assert "StepRun(copy) Status: Completed" in shown
    assert (run.status, run.get_status(), run.get_tags()) == ("Completed", "Finished", {"by": "test"})
    assert [step.name for step in run.get_steps()] == ["copy", "make data"]
    step = run.find_step_run("copy")[0]
    assert (step.get_status(), step.is_reused) == ("Finished", False)
    data = step.get_output_data("copied")
    assert data.download(str(tmp_path / "here")) == 1
    assert (tmp_path / "here" / data.path_on_datastore).read_text() == "a thing, copied"
    assert run.get_pipeline_output("result").path_on_datastore == data.path_on_datastore

    again = _submit(pipeline, backend_name, "a thing")
    assert again.wait_for_completion(show_output=False, timeout_seconds=PATIENCE) == "Finished"
    assert [step.is_reused for step in again.get_steps()] == [True, True]
    assert [found.id for found in Experiment(pipeline.workspace, "submissions").get_runs()][:2] == [again.id, run.id]


def test_a_submitted_run_that_fails_says_why(pipeline: Pipeline, backend_name: str) -> None:
    run = _submit(pipeline, backend_name, "fail")
    with pytest.raises(RunFailedError, match=r"(?s)'make data' failed: its script exited with code 5.*making fail"):
        run.wait_for_completion(show_output=False, timeout_seconds=PATIENCE)
    assert (run.status, run.get_status()) == ("Failed", "Failed")
    assert [step.name for step in run.get_steps()] == ["make data"]


def test_a_submitted_run_is_canceled(pipeline: Pipeline, backend_name: str) -> None:
    run = _submit(pipeline, backend_name, "wait")
    assert eventually(lambda: any("making" in step.get_stdout_log() for step in run.get_steps())), run.status
    run.cancel()
    assert run.wait_for_completion(show_output=False, timeout_seconds=PATIENCE) == "Canceled"
    step = next(iter(run.get_steps()))
    assert eventually(lambda: step.status == "Canceled"), step.status
    run.cancel()
    assert run.status == "Canceled"


def test_a_wrong_parameter_is_refused_before_anything_is_stored(pipeline: Pipeline, backend_name: str) -> None:
    before = len(list(Experiment(pipeline.workspace, "submissions").get_runs()))
    with pytest.raises(ParameterError, match="what"):
        Experiment(pipeline.workspace, "submissions").submit(
            pipeline, pipeline_parameters={"what": 3}, backend_name=backend_name
        )
    assert len(list(Experiment(pipeline.workspace, "submissions").get_runs())) == before
