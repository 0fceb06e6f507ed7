"""Submitted runs: they go on by themselves, and can be looked at, tagged and canceled from the first moment."""

from __future__ import annotations

import os
import signal
import textwrap
import time
from collections.abc import Callable

import pytest

from fakes.project import WRITES, Project
from refrain import Experiment, Pipeline, PipelineData, PipelineParameter, PipelineRun
from refrain.compute.processes import is_alive, marked
from refrain.errors import ParameterError, RunFailedError, UnknownNameError, UserError
from refrain.pipelines import local

SLEEPS = "import time; print('ready', flush=True); time.sleep(600)"


def _wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _submit(project: Project, code: str = WRITES, **options: object) -> PipelineRun:
    step = project.step("step", code, [PipelineData("out"), PipelineParameter("text", "hello")])
    pipeline = Pipeline(project.workspace, [step], name="submitted")
    return Experiment(project.workspace, "tests").submit(pipeline, **options)  # type: ignore[arg-type]


def test_a_submitted_run_can_be_looked_up_and_tagged_at_once_and_keeps_its_tags(project: Project) -> None:
    gate = project.folder / "gate"
    waits = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)\n"
    run = _submit(project, waits + textwrap.dedent(WRITES), tags={"team": "x"})
    assert run.name == "submitted"
    assert run.status in ("Preparing", "Running")
    assert PipelineRun.get(project.workspace, run.id).id == run.id
    run.set_tags({"later": "1"})
    gate.touch()
    assert run.wait_for_completion(show_output=False) == "Finished"
    assert run.tags == {"team": "x", "later": "1"}
    assert run.status == "Completed"
    assert run.record.experiment == "tests"
    assert [found.id for found in Experiment(project.workspace, "tests").get_runs()] == [run.id]
    assert list(Experiment(project.workspace, "others").get_runs()) == []


def test_parameters_reach_the_run_under_both_names(project: Project) -> None:
    run = _submit(project, pipeline_parameters={"text": "one"})
    assert run.record.parameters == {"text": "one"}
    run.wait_for_completion(show_output=False)
    assert (next(run.get_steps()).get_output_data("out").handle.path).read_text() == "one"
    assert _submit(project, pipeline_params={"text": "two"}).record.parameters == {"text": "two"}


def test_a_wrong_parameter_is_refused_before_anything_starts(project: Project) -> None:
    with pytest.raises(ParameterError, match="Did you mean 'text'"):
        _submit(project, pipeline_parameters={"texd": "x"})
    assert project.state.objects.names("runs") == []


def test_edits_after_the_submission_do_not_reach_the_run(project: Project) -> None:
    run = _submit(project)
    project.source("step", "raise SystemExit('edited')")
    assert run.wait_for_completion(show_output=False) == "Finished"


def test_a_failed_run_raises_what_went_wrong(project: Project) -> None:
    run = _submit(project, "print('why'); raise SystemExit(3)")
    with pytest.raises(RunFailedError, match=r"Step 'step' failed: its script exited with code 3\.(.|\n)*why"):
        run.wait_for_completion(show_output=False)
    assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"
    assert next(run.get_steps()).get_status() == "Failed"


def test_a_run_that_is_canceled_ends_its_steps(project: Project) -> None:
    run = _submit(project, SLEEPS)
    _wait_until(lambda: any(step.status == "Running" for step in run.get_steps()))
    run.cancel()
    assert run.wait_for_completion(show_output=False) == "Canceled"
    (step,) = run.get_steps()
    assert step.status == "Canceled"
    assert marked(step.id) == []
    run.cancel()  # a second time, nothing happens


def test_a_run_that_is_canceled_before_it_has_begun_is_canceled_and_not_failed(project: Project) -> None:
    run = _submit(project, SLEEPS)
    run.cancel()
    assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Canceled"
    assert [marked(step.id) for step in run.get_steps()] in ([], [[]])


def test_a_run_whose_process_is_killed_has_failed_and_so_have_its_steps(project: Project) -> None:
    run = _submit(project, SLEEPS)
    _wait_until(lambda: any(step.status == "Running" for step in run.get_steps()))
    os.kill(run.record.origin["process"], signal.SIGKILL)
    with pytest.raises(RunFailedError, match="its process ended before it did"):
        run.wait_for_completion(show_output=False)
    (step,) = run.get_steps()
    assert step.status == "Failed"
    _wait_until(lambda: marked(step.id) == [])


def test_a_process_that_dies_at_its_start_is_a_failed_run_with_its_last_words(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local.sys, "executable", "/bin/false")
    run = _submit(project)
    _wait_until(lambda: run.status == "Failed")
    monkeypatch.undo()
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    broken = _submit(project)
    with pytest.raises(RunFailedError, match=r"its process ended before it did\. It said last:(.|\n)*encodings"):
        broken.wait_for_completion(show_output=False)


def test_the_values_of_secret_variables_are_not_stored_with_a_submission(project: Project) -> None:
    from refrain import RunConfiguration

    config = RunConfiguration()
    config.environment_variables = {"TOKEN": "s3cr3t-value"}
    step = project.step("step", WRITES, [PipelineData("out")], runconfig=config)
    run = Experiment(project.workspace, "tests").submit(Pipeline(project.workspace, [step]))
    run.wait_for_completion(show_output=False)
    files = [path for path in project.state.root.rglob("*") if path.is_file()]
    assert [path for path in files if b"s3cr3t-value" in path.read_bytes()] == []


def test_waiting_can_be_given_up_and_the_run_goes_on(project: Project) -> None:
    run = _submit(project, SLEEPS)
    with pytest.raises(TimeoutError, match="has not ended after 0 seconds; it goes on"):
        run.wait_for_completion(show_output=False, timeout_seconds=0)
    origin = run.record.origin
    assert is_alive(origin["process"], origin["started"])
    run.cancel()
    run.wait_for_completion(show_output=False, raise_on_error=False)


def test_waiting_shows_what_happens(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    run = _submit(project)
    run.wait_for_completion()
    text = capsys.readouterr().out
    assert text.startswith(f"PipelineRunId: {run.id}\n")
    assert "StepRun(step): runs: first run\n" in text
    assert "[step] writing\n" in text
    assert "StepRun(step) Status: Completed\n" in text
    assert text.endswith("PipelineRun Status: Completed\n")


def test_what_azure_would_ignore_in_silence_is_ignored_with_a_warning(project: Project) -> None:
    with pytest.warns(UserWarning, match=r"Experiment.submit ignores credential_passthrough\."):
        run = _submit(project, credential_passthrough=True)
    run.wait_for_completion(show_output=False)


@pytest.mark.parametrize("name", ["", "a b", "-x", "a" * 256, "ü", None])
def test_a_name_that_is_no_experiment_is_refused(project: Project, name: str) -> None:
    with pytest.raises(UserError, match="is no valid experiment name: start with a letter or a digit"):
        Experiment(project.workspace, name)


def test_only_pipelines_are_submitted_and_only_to_known_backends(project: Project) -> None:
    with pytest.raises(UserError, match="can submit a Pipeline or a ScriptRunConfig, not 'x'"):
        Experiment(project.workspace, "tests").submit("x")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match=r"Unknown backend 'moon'\. Known: airflow, local\."):
        _submit(project, backend_name="moon")
