"""Two runs at once that would make the same: one works, the other waits without a slot and reuses the result."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from acceptance.example import Example, eventually
from acceptance.running_airflow import RunningAirflow
from fakes.other_machine import on_another_machine

SLOW = """
    import os, sys, time
    with open(sys.argv[2], "a") as count:
        count.write("x")
    while not os.path.exists(sys.argv[3]):
        time.sleep(0.05)
    open(sys.argv[1], "w").write("data")
"""
TWICE = """
slow = PipelineData("slow")
steps = [step("slow", slow, str(STEPS / "count"), str(STEPS / "gate"), outputs=[slow])]
pipeline = Pipeline(Workspace(), steps, name={name!r})
dag = pipeline_dag(pipeline, has_plan={has_plan})
"""


def _second_waits(airflow: RunningAirflow, name: str, has_plan: bool, task_id: str, state: str) -> Example:
    """Run twice at once, with *task_id* of the second run in *state* while the first is at work; both succeed."""
    twice = Example.add(airflow, name, TWICE.format(name=name, has_plan=has_plan), {"slow": SLOW})
    first = twice.trigger()
    assert eventually((twice.steps / "count").exists)
    second = twice.trigger()
    assert eventually(lambda: twice.states(second).get(task_id) == state), twice.states(second)
    (twice.steps / "gate").touch()
    assert (twice.wait(first), twice.wait(second)) == ("success", "success")
    assert (twice.steps / "count").read_text() == "x"
    made = twice.records(first)["slow"]
    assert twice.records(second)["slow"].reused_from == made.run_id
    assert [record.run_id for record in twice.attempts(second, "slow")] == [f"{twice.root_id(second)}.slow.1"]
    return twice


def test_the_second_of_two_identical_steps_waits_in_the_triggerer(airflow: RunningAirflow) -> None:
    _second_waits(airflow, "twice", has_plan=False, task_id="slow", state="deferred")


def test_the_plan_of_the_second_of_two_identical_runs_waits_without_a_slot(airflow: RunningAirflow) -> None:
    twice = _second_waits(airflow, "planned_twice", has_plan=True, task_id="plan", state="up_for_reschedule")
    newest = twice.airflow.client.dag_runs("planned_twice")[0]["dag_run_id"]
    assert "skipped" in twice.states(newest).values()


@contextlib.contextmanager
def _at_work_elsewhere(example: Example) -> Iterator[subprocess.Popen[bytes]]:
    """Let another machine of the same workspace run the example's pipeline, and wait until its step is at work."""
    file = example.airflow.dags_folder / f"{example.dag_id}.py"
    command = [*on_another_machine(), sys.executable, "-m", "refrain.cli", "run", f"{file}:pipeline"]
    environment = {**os.environ, "REFRAIN_WORKSPACE": str(example.airflow.workspace), "REFRAIN_LEASE_SECONDS": "6"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            assert eventually((example.steps / "count").exists)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("task_id", "state"), [("slow", "deferred"), ("plan", "up_for_reschedule")])
def test_a_run_takes_over_from_one_that_died_on_another_machine(
    airflow: RunningAirflow, task_id: str, state: str
) -> None:
    name, has_plan = f"left_by_{task_id}", task_id == "plan"
    left = Example.add(airflow, name, TWICE.format(name=name, has_plan=has_plan), {"slow": SLOW})
    with _at_work_elsewhere(left) as elsewhere:
        run = left.trigger()
        assert eventually(lambda: left.states(run).get(task_id) == state), left.states(run)
        assert (left.steps / "count").read_text() == "x"
        elsewhere.kill()
    (left.steps / "gate").touch()
    assert left.wait(run) == "success", left.errors(run)
    assert (left.steps / "count").read_text() == "xx"
    assert left.text(run, "slow", "slow") == "data"
    assert left.records(run)["slow"].reused_from is None
