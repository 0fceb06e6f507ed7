"""Steps that fail: what is tried again, what stops, and what goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from acceptance.example import Example, eventually
from acceptance.running_airflow import RunningAirflow
from refrain.tracking.record import RunStatus

FAIL = """
    import os, sys, time
    while len(sys.argv) > 2 and not os.path.exists(sys.argv[2]):
        time.sleep(0.05)
    print("the reason", file=sys.stderr)
    sys.exit(3)
"""
WRITE = """
    import sys
    open(sys.argv[1], "w").write("written")
"""
LAST = """
    import sys, time
    open(sys.argv[2], "w").close()
    time.sleep(987)
"""
FAIL_ONCE = """
    import os, sys
    if not os.path.exists(sys.argv[2]):
        open(sys.argv[2], "w").close()
        sys.exit(4)
    open(sys.argv[1], "w").write("second try")
"""
SCRIPTS = {"fail": FAIL, "write": WRITE, "last": LAST, "fail_once": FAIL_ONCE}

CHAIN = """
bad, good = PipelineData("bad"), PipelineData("good")
steps = [step("fail", bad, outputs=[bad]), step("write", good, inputs=[bad], outputs=[good])]
dag = pipeline_dag(Pipeline(Workspace(), steps, name="{name}"))
"""
# `write` has to wait until one of the two others has ended.
STOPPING = """
gate = str(STEPS / "gate")
bad, good, late = PipelineData("bad"), PipelineData("good"), PipelineData("late")
steps = [
    step("fail", bad, gate, outputs=[bad]),
    step("last", good, gate, outputs=[good]),
    step("then_fail", bad, script="write", inputs=[bad]),
    step("then_last", good, script="write", inputs=[good]),
    step("write", late, outputs=[late]),
]
dag = pipeline_dag(Pipeline(Workspace(), steps, name="stopping"), max_active_tasks=2)
"""
GOING_ON = """
bad, after, good, end = (PipelineData(name) for name in ("bad", "after", "good", "end"))
steps = [
    step("fail", bad, outputs=[bad]),
    step("after_fail", after, script="write", inputs=[bad], outputs=[after]),
    step("write", good, outputs=[good]),
    step("after_write", end, script="write", inputs=[good], outputs=[end]),
]
dag = pipeline_dag(Pipeline(Workspace(), steps, name="going_on"), continue_on_step_failure=True)
"""
RETRIED = """
given = Workspace().get_default_datastore().path("later/file.txt")
from refrain import Dataset
data = Dataset.File.from_files(given, validate=False)
with DAG("retried", default_args={"retry_delay": timedelta(seconds=1)}) as dag:
    out, copy, third = PipelineData("out"), PipelineData("copy"), PipelineData("third")
    operator("script", out, str(STEPS / "once"), script="fail_once", outputs=[out], retries=1)
    operator("input", copy, script="write", inputs=[data.as_named_input("given").as_mount()], outputs=[copy])
with DAG("retried_by_default", default_args={"retry_delay": timedelta(seconds=1), "retries": 1}) as second:
    operator("script", third, str(STEPS / "twice"), script="fail_once", outputs=[third])
"""


@dataclass(frozen=True)
class Finished:
    example: Example
    run_id: str
    state: str


@pytest.fixture(scope="module")
def runs(airflow: RunningAirflow) -> dict[str, Finished]:
    """One finished run of each DAG, all of them at once."""
    bodies = {
        "failing": CHAIN.format(name="failing"),
        "stopping": STOPPING,
        "going_on": GOING_ON,
        "retried": RETRIED,
    }
    examples = [Example.write(airflow, name, body, SCRIPTS) for name, body in bodies.items()]
    for example in examples:
        example.ready()
    examples.append(Example(airflow, "retried_by_default"))
    airflow.client.unpause("retried_by_default")
    run_ids = [(example, example.trigger()) for example in examples]
    _give_input_after_the_first_try(*run_ids[3])
    return {example.dag_id: Finished(example, run_id, example.wait(run_id)) for example, run_id in run_ids}


def _give_input_after_the_first_try(example: Example, run_id: str) -> None:
    def is_waiting() -> bool:
        return any(record.status is RunStatus.FAILED for record in example.attempts(run_id, "input"))

    assert eventually(is_waiting), example.states(run_id)
    path = example.airflow.workspace / "datastores/workspaceblobstore/later/file.txt"
    path.parent.mkdir(parents=True)
    path.write_text("here now")


def test_a_run_fails_although_nothing_of_it_ran_after_the_failed_step(runs: dict[str, Finished]) -> None:
    run = runs["failing"]
    assert run.state == "failed"
    assert run.example.states(run.run_id) == {"plan": "success", "fail": "failed", "write": "upstream_failed"}


def test_a_failed_script_is_not_tried_again(runs: dict[str, Finished]) -> None:
    run = runs["failing"]
    assert run.example.airflow.client.task_instance("failing", run.run_id, "fail")["try_number"] == 1
    assert len(run.example.attempts(run.run_id, "fail")) == 1


def test_the_error_names_step_and_exit_code_and_shows_the_last_lines(runs: dict[str, Finished]) -> None:
    run = runs["failing"]
    error = run.example.runs.get(run.example.root_id(run.run_id)).error
    assert error.startswith("Step 'fail' failed: its script exited with code 3.")
    assert "the reason" in error
    assert "AirflowFailException: Step 'fail' failed: its script exited with code 3." in run.example.log(
        run.run_id, "fail"
    )


def test_the_log_ends_with_the_command_that_runs_the_step_alone(runs: dict[str, Finished]) -> None:
    run = runs["failing"]
    file = run.example.airflow.dags_folder / "failing.py"
    end = run.example.log(run.run_id, "fail").rstrip()[-2000:]
    assert f"refrain run {file}:failing --step fail" in end
    assert "With --debug its script waits for a debugger." in end
    command = [sys.executable, "-m", "refrain.cli", "run", f"{file}:failing", "--step", "fail", "--keep-in", "kept"]
    environment = {**os.environ, "REFRAIN_WORKSPACE": str(run.example.airflow.workspace)}
    folder = run.example.airflow.dags_folder.parent
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    assert done.returncode == 1
    assert "Step 'fail' failed: its script exited with code 3." in done.stderr
    assert (folder / "kept" / "fail.py").is_file()


def test_a_failed_step_stops_the_others(runs: dict[str, Finished]) -> None:
    run = runs["stopping"]
    assert run.state == "failed"
    records = run.example.records(run.run_id)
    assert (records["fail"].status, records["last"].status) == (RunStatus.FAILED, RunStatus.CANCELED)
    assert set(records) == {"fail", "last"}
    message = "Task 'last' was stopped, because 'fail' has failed."
    assert message in run.example.log(run.run_id, "last")
    assert "Task 'write' was not started, because 'fail' has failed." in run.example.log(run.run_id, "write")
    tries = {task["task_id"]: task["try_number"] for task in _tasks(run)}
    assert (tries["fail"], tries["last"], tries["write"]) == (1, 1, 1)


def test_with_continue_on_step_failure_other_branches_go_on(runs: dict[str, Finished]) -> None:
    run = runs["going_on"]
    assert run.state == "failed"
    assert run.example.states(run.run_id) == {
        "plan": "success",
        "fail": "failed",
        "after_fail": "upstream_failed",
        "write": "success",
        "after_write": "success",
    }


def test_a_script_is_tried_again_where_retries_are_given(runs: dict[str, Finished]) -> None:
    for name in ("retried", "retried_by_default"):
        run = runs[name]
        first, second = run.example.attempts(run.run_id, "script")
        assert (first.status, second.status) == (RunStatus.FAILED, RunStatus.COMPLETED)
        assert run.example.text(run.run_id, "script", second.outputs and next(iter(second.outputs))) == "second try"


def test_a_fault_around_a_step_is_tried_again(runs: dict[str, Finished]) -> None:
    run = runs["retried"]
    assert run.state == "success", run.example.errors(run.run_id)
    attempts = run.example.attempts(run.run_id, "input")
    assert "there is nothing at" in attempts[0].error
    assert attempts[-1].status is RunStatus.COMPLETED


def _tasks(run: Finished) -> list[dict[str, object]]:
    return run.example.airflow.client.task_instances(run.example.dag_id, run.run_id)
