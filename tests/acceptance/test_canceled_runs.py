"""A run that is marked as failed by hand: everything that it started ends, and nothing half-written stays."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from acceptance.example import Example, eventually
from acceptance.running_airflow import RunningAirflow
from refrain.tracking.record import RunStatus

QUICK = """
    import sys
    open(sys.argv[1], "w").write("quick")
"""
# Neither the script nor its child, which has a session of its own, ends when it is asked to.
STUBBORN = """
    import signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen(["sleep", "765432"], start_new_session=True)
    open(sys.argv[2], "w").write("half")
    print("ready", flush=True)
    time.sleep(765432)
"""
CANCELED = """
quick, half = PipelineData("quick"), PipelineData("half")
steps = [
    step("quick", quick, outputs=[quick]),
    step("stubborn", quick, half, inputs=[quick], outputs=[half]),
    step("after", half, script="quick", inputs=[half]),
]
dag = pipeline_dag(Pipeline(Workspace(), steps, name="canceled"))
"""


@pytest.fixture(scope="module")
def canceled(airflow: RunningAirflow) -> Example:
    return Example.add(airflow, "canceled", CANCELED, {"quick": QUICK, "stubborn": STUBBORN})


@pytest.fixture(scope="module")
def canceled_run(canceled: Example) -> str:
    run_id = canceled.trigger()
    assert eventually(lambda: "ready" in _output(canceled, run_id)), canceled.states(run_id)
    assert len(_left_running()) == 1
    canceled.airflow.client.cancel("canceled", run_id)
    assert eventually(lambda: not _left_running()), _left_running()
    assert eventually(lambda: canceled.records(run_id)["stubborn"].status.is_final), canceled.records(run_id)
    return run_id


def _output(example: Example, run_id: str) -> str:
    record = example.records(run_id).get("stubborn")
    log = Path(example.runs.folder(record.run_id), "logs/std_log.txt") if record else None
    return log.read_text() if log and log.exists() else ""


def _left_running() -> list[str]:
    shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if line == "sleep 765432"]


def test_the_records_say_canceled(canceled: Example, canceled_run: str) -> None:
    records = canceled.records(canceled_run)
    assert {key: record.status for key, record in records.items()} == {
        "quick": RunStatus.COMPLETED,
        "stubborn": RunStatus.CANCELED,
    }
    root = canceled.runs.get(canceled.root_id(canceled_run))
    assert (root.status, root.error) == (RunStatus.CANCELED, "The DAG run was marked as failed by hand.")


def test_nothing_half_written_stays(canceled: Example, canceled_run: str) -> None:
    root, workspace = canceled.root_id(canceled_run), canceled.airflow.workspace

    def left() -> list[Path]:
        return [path for path in (*workspace.glob("**/half"), *workspace.glob("staging/*")) if root in str(path)]

    assert eventually(lambda: left() == []), left()  # the record says canceled before the task has ended


def test_the_canceled_task_is_not_tried_again(canceled: Example, canceled_run: str) -> None:
    states = canceled.states(canceled_run)
    assert states["quick"] == "success"
    assert states["stubborn"] == "failed"
    assert len(canceled.attempts(canceled_run, "stubborn")) == 1
