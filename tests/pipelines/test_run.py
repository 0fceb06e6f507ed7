"""Runs, afterwards: their steps, outputs, logs and metrics."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fakes.project import COPIES, WRITES, Project
from refrain import Pipeline, PipelineData, PipelineRun, PythonScriptStep
from refrain.errors import DataError, DataNotFoundError, RunFailedError, RunNotFoundError, UnknownNameError

LOGS = """
    import sys
    from refrain import Run
    run = Run.get_context()
    run.log("loss", 0.5)
    run.parent.log("best", 1)
    run.tag("colour", "red")
    open("x.txt", "w").write("artifact")
    run.upload_file("reports/x.txt", "x.txt")
    print("logged")
    open(sys.argv[1], "w").write("data")
"""


def _steps(project: Project, text: str = "hello") -> list[PythonScriptStep]:
    one = PipelineData("one", pipeline_output_name="first_result")
    return [
        project.step("write", WRITES, [one, text]),
        project.step("copy", COPIES, [one, PipelineData("two")], inputs=[one]),
    ]


def _run(project: Project, *steps: PythonScriptStep) -> PipelineRun:
    return Pipeline(project.workspace, list(steps)).run()


def test_a_run_has_its_steps_the_latest_first(project: Project) -> None:
    run = _run(project, *_steps(project))
    assert [step.name for step in run.get_steps()] == ["copy", "write"]
    assert [step.name for step in run.get_children()] == ["copy", "write"]
    assert [step.id for step in run.find_step_run("copy")] == [f"{run.id}.copy.1"]
    assert run.find_step_run("nothing") == []
    assert run.get_status() == "Finished"
    assert run.status == "Completed"
    assert {step.get_status() for step in run.get_steps()} == {"Finished"}
    assert {step.pipeline_run_id for step in run.get_steps()} == {run.id}


def test_the_artifacts_of_a_run_become_a_model(project: Project) -> None:
    step = project.step("logs", LOGS, [PipelineData("out")])
    (logs,) = _run(project, step).get_steps()
    model = logs.register_model("net", "reports/x.txt", {"stage": "live"}, description="A net")
    assert (model.id, model.run_id, model.tags, model.description) == ("net:1", logs.id, {"stage": "live"}, "A net")
    assert Path(model.download(project.folder / "file")).read_text() == "artifact"
    folder = Path(logs.register_model("reports").download(project.folder / "folder"))
    assert (folder.name, (folder / "x.txt").read_text()) == ("reports", "artifact")
    with pytest.raises(
        DataNotFoundError, match=r"has no artifact 'x.txt' to register as a model\. Known: reports/x\.txt"
    ):
        logs.register_model("net", "x.txt")


def test_a_pipeline_output_is_found_by_its_name(project: Project) -> None:
    for is_reused in (False, True):
        run = _run(project, *_steps(project))
        assert run.find_step_run("write")[0].is_reused is is_reused
        assert run.get_pipeline_output("first_result").handle.path.read_text() == "hello"
    with pytest.raises(UnknownNameError, match=r"no pipeline output 'other'\. Known: first_result\."):
        run.get_pipeline_output("other")


def test_outputs_are_downloaded_below_their_path_on_the_datastore(project: Project, tmp_path: Path) -> None:
    run = _run(project, *_steps(project))
    (step,) = run.find_step_run("write")
    data = step.get_output("one").get_port_data_reference()
    assert data.datastore_name == "workspaceblobstore"
    assert data.path_on_datastore == f"azureml/{step.id}/one"
    target = tmp_path / "download"
    assert data.download(str(target)) == 1
    assert (target / data.path_on_datastore).read_text() == "hello"
    assert data.download(str(target)) == 0
    assert data.download(str(target), overwrite=True) == 1
    assert list(step.get_outputs()) == ["one"]
    with pytest.raises(UnknownNameError, match=r"has no output 'x' to show\. Known: one\."):
        step.get_output("x")


def test_an_output_that_is_gone_or_cannot_be_copied_is_named(project: Project, tmp_path: Path) -> None:
    data = _run(project, *_steps(project)).find_step_run("write")[0].get_output_data("one")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="The output 'one' cannot be copied to"):
        data.download(str(tmp_path / "file"))
    data.handle.path.unlink()
    with pytest.raises(DataError, match="The output 'one' is no longer at"):
        data.download(str(tmp_path / "download"))


def test_a_reused_step_shows_what_the_run_that_made_it_left(project: Project, tmp_path: Path) -> None:
    for _ in range(2):
        run = _run(project, project.step("log", LOGS, [PipelineData("out")]))
    (step,) = run.get_steps()
    assert step.is_reused
    assert step.get_stdout_log() == "logged\n"
    assert step.get_metrics() == {"loss": 0.5}
    assert run.get_metrics() == {"best": 1}
    assert run.get_metrics(recursive=True) == {run.id: {"best": 1}, step.id: {"loss": 0.5}}
    assert step.tags == {"colour": "red"}
    assert step.get_file_names() == ["reports/x.txt", "user_logs/std_log.txt"]
    assert step.properties["azureml.reusedrunid"] == step.record.reused_from
    target = str(tmp_path / "x.txt")
    assert step.download_file("reports/x.txt", target) == target
    assert Path(target).read_text() == "artifact"
    os.chdir(tmp_path)
    assert step.download_file("user_logs/std_log.txt") == "std_log.txt"
    assert Path("std_log.txt").read_text() == "logged\n"
    with pytest.raises(DataNotFoundError, match=r"has no file 'y'\. Known: reports/x\.txt, user_logs/std_log\.txt\."):
        step.download_file("y")


@pytest.mark.parametrize("way", ["as_mount", "as_download", None])
def test_what_a_finished_run_left_is_an_input_of_another_pipeline(project: Project, way: str | None) -> None:
    (step,) = _run(project, project.step("write", WRITES, [PipelineData("out"), "text"])).get_steps()
    data, copy = step.get_output_data("out"), PipelineData("copy")
    data = getattr(data, way)() if way else data

    def again() -> PipelineRun:
        return _run(project, project.step("copy", COPIES, [data, copy], inputs=[data], outputs=[copy]))

    (read,) = again().get_steps()
    assert read.get_output_data("copy").place.in_place.read_text() == "text"
    assert next(again().get_steps()).is_reused
    data.place.in_place.write_text("changed")
    assert not next(again().get_steps()).is_reused
    data.place.in_place.unlink()
    with pytest.raises(RunFailedError, match=r"Step 'copy', input 'out': there is nothing at '.*azureml/.*/out'"):
        again()


def test_details_say_what_was_decided_and_where_the_outputs_are(project: Project) -> None:
    run = _run(project, project.step("write", WRITES, [PipelineData("out")]))
    (step,) = run.get_steps()
    details = step.get_details()
    assert details["runId"] == step.id
    assert details["status"] == "Completed"
    assert details["decision"]["verdict"] == "first run"
    assert details["outputDatasets"][0]["name"] == "out"
    assert run.get_details()["error"] == ""


def test_a_run_in_this_process_raises_what_failed_and_how_many_more_did(project: Project) -> None:
    steps = [project.step(f"fail{n}", "raise SystemExit(2)") for n in range(2)]
    with pytest.raises(RunFailedError, match=r"exited with code 2(.|\n)*\(1 more steps did not end well\.\)"):
        Pipeline(project.workspace, steps).run(continue_on_step_failure=True)
    run = Pipeline(project.workspace, steps).run(raise_on_error=False, jobs=1)
    assert run.status == "Failed"
    with pytest.raises(RunFailedError):
        run.find_step_run("fail0")[0].wait_for_completion(show_output=False)


def test_a_run_that_is_not_there_is_named(project: Project) -> None:
    with pytest.raises(RunNotFoundError, match="There is no run 'nothing'"):
        PipelineRun.get(project.workspace, "nothing")


def test_tags_can_be_set_on_runs_and_steps_but_only_where_there_is_one(project: Project) -> None:
    run = _run(project, project.step("log", LOGS, [PipelineData("out")]))
    (step,) = run.get_steps()
    step.set_tags({"size": "1", "colour": "blue"})
    assert step.get_tags() == {"size": "1", "colour": "red"}  # what the script said rules
    with pytest.raises(RunNotFoundError):
        PipelineRun(run.experiment, "nothing").set_tags({"a": "1"})
    assert PipelineRun(run.experiment, "nothing").status == "NotStarted"
