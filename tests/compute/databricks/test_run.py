"""How far a run is and how it ended, from what the Jobs API answers."""

from __future__ import annotations

import pytest

from refrain.compute.databricks.run import DatabricksRun, Ending


def _run(phase: str, result: str = "", code: str = "", kind: str = "", message: str = "") -> DatabricksRun:
    details = {"termination_details": {"code": code, "type": kind}}
    state = {"life_cycle_state": phase, "result_state": result, "state_message": message}
    return DatabricksRun.of({"run_id": 1, "run_page_url": "page", "state": state, "status": details})


@pytest.mark.parametrize(
    ("run", "ending"),
    [
        (_run("PENDING"), None),
        (_run("TERMINATING", "CANCELED"), None),
        (_run("TERMINATED", "SUCCESS"), Ending.SUCCEEDED),
        (_run("TERMINATED", "FAILED", "RUN_EXECUTION_ERROR", "CLIENT_ERROR"), Ending.FAILED),
        (_run("TERMINATED", "CANCELED"), Ending.CANCELED),
        (_run("TERMINATED", "TIMEDOUT"), Ending.TIMED_OUT),
        (_run("INTERNAL_ERROR", "FAILED", "RESOURCE_NOT_FOUND", "CLIENT_ERROR"), Ending.FAILED),
        (_run("INTERNAL_ERROR", "FAILED"), Ending.LOST),
        (_run("TERMINATED", "FAILED", "CLOUD_FAILURE", "CLOUD_FAILURE"), Ending.LOST),
        (_run("SKIPPED"), Ending.FAILED),
    ],
)
def test_an_ending_says_by_whose_doing_it_was(run, ending):
    assert run.ending is ending


def test_the_output_of_the_latest_attempt_is_asked_for():
    tasks = [{"run_id": 5, "attempt_number": 0}, {"run_id": 7, "attempt_number": 1}]
    assert DatabricksRun.of({"run_id": 1, "tasks": tasks, "state": {}}).task_run_id == 7


def test_a_sentence_says_each_thing_once_and_what_may_help():
    run = _run("TERMINATED", "FAILED", "LIBRARY_INSTALLATION_ERROR", "CLIENT_ERROR", "No such package.")
    assert run.sentence("No such package.") == (
        "failed: No such package. A library could not be installed: look at its name, its version and its repository."
    )
    assert "take a larger node_type" in _run("TERMINATED", "FAILED").sentence("java.lang.OutOfMemoryError: x")
