"""Tasks that somebody clears or marks, runs of the past, and references that somebody edits."""

from __future__ import annotations

from typing import Any

import pytest

from acceptance.example import Example, eventually
from acceptance.running_airflow import RunningAirflow
from refrain.tracking.record import RunStatus

# Waits as long as the gate, a file, is there.
MAKE = """
    import os, sys, time
    print("waiting", flush=True)
    while os.path.exists(sys.argv[2]):
        time.sleep(0.05)
    open(sys.argv[1], "w").write("made")
"""
COPY = """
    import sys
    open(sys.argv[2], "w").write(open(sys.argv[1]).read() + ", copied")
"""
BODY = """
gate = str(STEPS / "gate")
made, copied = PipelineData("made"), PipelineData("copied")
steps = [step("make", made, gate, outputs=[made]), step("copy", made, copied, inputs=[made], outputs=[copied])]
dag = pipeline_dag(
    Pipeline(Workspace(), steps, name="states"),
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    end_date=datetime(2026, 2, 10, tzinfo=timezone.utc),  # so that no run comes by schedule
    default_args={"retry_delay": timedelta(seconds=1)},
)
"""


@pytest.fixture(scope="module")
def states(airflow: RunningAirflow) -> Example:
    return Example.add(airflow, "states", BODY, {"make": MAKE, "copy": COPY})


@pytest.fixture(scope="module")
def first_run(states: Example) -> str:
    return states.run()


@pytest.fixture(scope="module")
def forced_runs(states: Example, first_run: str) -> tuple[str, str, str]:
    """Three runs that made everything themselves."""
    runs = tuple(states.trigger(regenerate_outputs=True) for _ in range(3))
    assert [states.wait(run_id) for run_id in runs] == ["success"] * 3
    return runs[0], runs[1], runs[2]


def _clear(example: Example, run_id: str, *task_ids: str) -> str:
    example.airflow.client.clear_task_instances(example.dag_id, run_id, list(task_ids))
    return example.wait(run_id)


def _edit_xcom(example: Example, run_id: str, task_id: str, value: Any) -> None:
    path = f"/dags/{example.dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
    example.airflow.client._json("PATCH", path, {"value": value, "map_index": -1})


def test_a_cleared_task_that_ran_is_reused_from_itself(states: Example, first_run: str) -> None:
    assert _clear(states, first_run, "copy") == "success"
    first, second = states.attempts(first_run, "copy")
    assert (first.reused_from, second.reused_from) == (None, first.run_id)


def test_a_cleared_task_that_was_reused_is_decided_again(states: Example, first_run: str) -> None:
    second_run = states.run()
    assert states.started(second_run) == set()
    assert _clear(states, second_run, "make") == "success"
    first, again = states.attempts(second_run, "make")
    assert again.reused_from == first.reused_from
    states.path(first_run, "make", "made").write_text("spoiled")
    assert _clear(states, second_run, "make", "copy") == "success"
    assert states.records(second_run)["make"].decision["verdict"] == "output changed"
    assert states.text(second_run, "copy", "copied") == "made, copied"


def test_a_cleared_task_of_a_run_that_regenerates_outputs_runs_again(
    states: Example, forced_runs: tuple[str, str, str]
) -> None:
    assert _clear(states, forced_runs[0], "copy") == "success"
    assert [record.reused_from for record in states.attempts(forced_runs[0], "copy")] == [None, None]


def test_a_task_marked_as_success_stands_for_an_earlier_try_and_for_nothing_else(
    states: Example, forced_runs: tuple[str, str, str]
) -> None:
    gate = states.steps / "gate"
    gate.touch()
    new_run, old_run = states.trigger(regenerate_outputs=True), forced_runs[1]
    client = states.airflow.client
    client.clear_task_instances("states", old_run, ["make"], is_downstream_included=True)
    for run_id, tries in ((new_run, 1), (old_run, 2)):
        assert eventually(lambda: len(_running(states, run_id)) == tries), states.states(run_id)  # noqa: B023
        client.set_task_state("states", run_id, "make", "success")
    assert [states.wait(run_id) for run_id in (new_run, old_run)] == ["failed", "success"]
    gate.unlink()
    assert "Task 'make' has not published its outputs" in states.log(new_run, "copy")
    assert client.task_instance("states", new_run, "copy")["try_number"] == 1
    first, _ = states.attempts(old_run, "make")
    assert first.status is RunStatus.COMPLETED
    assert states.text(old_run, "copy", "copied") == "made, copied"


def _running(example: Example, run_id: str) -> list[Any]:
    """The tries of `make` in a run whose latest one has started its process."""
    attempts = example.attempts(run_id, "make")
    return attempts if attempts and attempts[-1].status is RunStatus.RUNNING else []


@pytest.mark.parametrize("number", [0, 1])
def test_an_edited_reference_fails_its_consumer_at_once(
    states: Example, forced_runs: tuple[str, str, str], number: int
) -> None:
    run_id = forced_runs[2]
    original = states.airflow.client.xcom("states", run_id, "make")
    other = states.airflow.client.xcom("states", forced_runs[0], "make")
    wrong: list[Any] = [other, {**original, "outputs": {"made": {**original["outputs"]["made"], "uri": "file:///etc"}}}]
    _edit_xcom(states, run_id, "make", wrong[number])
    before = len(states.attempts(run_id, "copy"))
    try:
        assert _clear(states, run_id, "copy") == "failed"
        log = states.log(run_id, "copy")
        assert "UntrustedReferenceError: The reference that task 'make' published does not match" in log
        assert len(states.attempts(run_id, "copy")) == before
    finally:
        _edit_xcom(states, run_id, "make", original)


def test_a_backfill_runs_each_date_and_reuses(states: Example, first_run: str) -> None:
    body = {
        "dag_id": "states",
        "from_date": "2026-02-01T00:00:00Z",
        "to_date": "2026-02-02T00:00:00Z",
        "dag_run_conf": {},
    }
    backfill = states.airflow.client._json("POST", "/backfills", body)["id"]
    assert backfill

    def found() -> list[dict[str, Any]]:
        return [run for run in states.airflow.client.dag_runs("states") if run["run_type"] == "backfill"]

    assert eventually(lambda: len(found()) == 2), found()
    run_ids = [str(run["dag_run_id"]) for run in found()]
    assert [states.wait(run_id) for run_id in run_ids] == ["success", "success"]
    assert [states.started(run_id) for run_id in run_ids] == [set(), set()]
