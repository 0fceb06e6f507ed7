"""A step that is suspended while its job runs: it gives everything back, and goes on as the same step run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.databricks import DatabricksProject
from refrain.errors import StepFailedError, SuspendedError
from refrain.execution.databricks.job import AwaitedRun
from refrain.execution.engine import Engine
from refrain.execution.request import RunContext, StepRequest
from refrain.pipelines.pipeline import Pipeline
from refrain.tracking.record import RunRecord, RunStatus, RunStore

WAITS = """
    import pathlib, sys, time
    given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    gate = pathlib.Path(given["--gate"])
    while not gate.exists():
        time.sleep(0.05)
    open(given["-out"].removeprefix("file:"), "w").write(gate.read_text() or sys.exit("empty"))
"""


def _request(databricks: DatabricksProject, resumes: RunRecord | None = None) -> StepRequest:
    script = databricks.script(WAITS, python_script_params=["--gate", str(databricks.folder / "gate")])
    (step,) = Pipeline(databricks.workspace, [script], name="p").definition.steps
    run = RunContext("a" * 32, "p", "e", "w", databricks.workspace.root)
    return StepRequest(step, run, may_suspend=True, resumes=resumes)


def _suspended(databricks: DatabricksProject) -> SuspendedError:
    with pytest.raises(SuspendedError) as caught:
        Engine(databricks.state).run(_request(databricks))
    return caught.value


def _ended(databricks: DatabricksProject, error: SuspendedError, gate: str) -> RunRecord:
    assert isinstance(error.job, AwaitedRun)
    Path(databricks.folder, "opening").write_text(gate)
    os.replace(databricks.folder / "opening", databricks.folder / "gate")
    (run,) = databricks.server.runs.all()
    assert run.task is not None
    run.task.wait(60)
    while run.end is None:
        run.task.wait(1)
    return RunStore(databricks.state).get(error.run_id)


def test_a_suspended_step_goes_on_as_the_same_step_run(databricks: DatabricksProject) -> None:
    error = _suspended(databricks)
    record = RunStore(databricks.state).get(error.run_id)
    assert (record.status, databricks.leftovers()) == (RunStatus.RUNNING, [])
    result = Engine(databricks.state).run(_request(databricks, _ended(databricks, error, "made")))
    assert result.run_id == error.run_id
    assert result.outputs["out"].path.read_text() == "made"
    ended = RunStore(databricks.state).get(error.run_id)
    assert (ended.status, ended.started) == (RunStatus.COMPLETED, record.started)
    assert databricks.submissions() == 1
    assert databricks.jobs() == []


def test_a_job_that_failed_meanwhile_fails_the_step(databricks: DatabricksProject) -> None:
    record = _ended(databricks, error := _suspended(databricks), "")
    with pytest.raises(StepFailedError, match="failed: empty"):
        Engine(databricks.state).run(_request(databricks, record))
    assert RunStore(databricks.state).get(error.run_id).status is RunStatus.FAILED
    assert databricks.submissions() == 1


def test_a_suspended_step_that_is_resumed_too_early_is_suspended_again(databricks: DatabricksProject) -> None:
    error = _suspended(databricks)
    record = RunStore(databricks.state).get(error.run_id)
    with pytest.raises(SuspendedError):
        Engine(databricks.state).run(replace(_request(databricks), resumes=record))
    assert databricks.submissions() == 1


def test_a_second_run_goes_on_with_the_job_of_a_suspended_one(databricks: DatabricksProject) -> None:
    record = _ended(databricks, _suspended(databricks), "made")
    ran = databricks.run(databricks.script(WAITS, python_script_params=["--gate", str(databricks.folder / "gate")]))
    assert ran.text("work", "out") == "made"
    result = Engine(databricks.state).run(_request(databricks, record))
    assert result.reused_from == ran.step("work").run_id
    assert databricks.submissions() == 1
