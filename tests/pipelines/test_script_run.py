"""Scripts that are submitted by themselves: the run is that of the script."""

from __future__ import annotations

import pytest

from fakes.project import Project
from refrain import Experiment, PyTorchConfiguration, ScriptRunConfig
from refrain.errors import RunFailedError, UserError
from refrain.pipelines.script_run import ScriptRun

LOGS = """
    import os, sys
    from refrain import Run
    run = Run.get_context()
    run.log("rate", float(sys.argv[1]))
    run.tag("by", "script")
    os.makedirs("outputs", exist_ok=True)
    open("outputs/model.txt", "w").write("model")
"""


def _submit(project: Project, code: str, **options: object) -> ScriptRun:
    config = ScriptRunConfig(str(project.source("fit", code)), **{"script": "fit.py", **options})
    run = Experiment(project.workspace, "scripts").submit(config)
    assert isinstance(run, ScriptRun)
    return run


def test_its_metrics_tags_and_files_are_the_scripts(project: Project) -> None:
    run = _submit(project, LOGS, arguments=["0.5"])
    assert run.wait_for_completion(show_output=False) == "Finished"
    assert run.get_metrics() == run.get_metrics(recursive=True)[run.id] == {"rate": 0.5}
    assert run.tags["by"] == "script"
    assert "outputs/model.txt" in run.get_file_names()


def test_it_runs_every_time(project: Project) -> None:
    for _ in range(2):
        run = _submit(project, LOGS, arguments=["0.5"])
        run.wait_for_completion(show_output=False)
        assert not next(run.get_steps()).is_reused


def test_a_command_and_several_processes_are_submitted_likewise(project: Project) -> None:
    job = PyTorchConfiguration(process_count=2)
    run = _submit(project, "", script=None, command="echo rank $RANK of $WORLD_SIZE", distributed_job_config=job)
    run.wait_for_completion(show_output=False)
    log = next(run.get_steps()).get_stdout_log()
    assert sorted(log.splitlines()) == ["[rank 0] rank 0 of 2", "[rank 1] rank 1 of 2"]


def test_a_script_that_fails_fails_its_run(project: Project) -> None:
    run = _submit(project, "raise SystemExit(4)")
    with pytest.raises(RunFailedError, match="its script exited with code 4"):
        run.wait_for_completion(show_output=False)


def test_nothing_else_is_submitted(project: Project) -> None:
    with pytest.raises(UserError, match=r"can submit a Pipeline or a ScriptRunConfig, not 'fit.py'"):
        Experiment(project.workspace, "scripts").submit("fit.py")  # type: ignore[arg-type]
