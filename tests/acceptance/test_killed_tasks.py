"""A task's process that is killed, in whatever phase: Airflow tries again, and nothing of the first try remains."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from acceptance.example import Example
from acceptance.running_airflow import RunningAirflow
from refrain.execution.listener import Phase
from refrain.tracking.record import RunStatus

# The child has a session of its own, as daemons have.
WORK = """
    import subprocess, sys, time
    subprocess.Popen(["sleep", "876543"], start_new_session=True)
    with open(sys.argv[1], "w") as output:
        output.write("first half, ")
        output.flush()
        print("half", flush=True)
        time.sleep(1)
        output.write("second half")
"""
KILLING = """
import logging, os, signal
from refrain.execution.listener import Phase
from refrain_operators.step_operator import LogListener

MARKS = STEPS / "marks"


class Killer(LogListener):
    def __init__(self, moment):
        super().__init__(logging.getLogger("refrain.step"))
        self.moment = moment

    def entered(self, key, phase):
        super().entered(key, phase)
        self.strike(key, phase.name)

    def line(self, key, line):
        super().line(key, line)
        self.strike(key, line)

    def strike(self, key, moment):
        if moment == self.moment and not (MARKS / key).exists():
            (MARKS / key).touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Killed(PythonScriptOperator):
    def __init__(self, *, moment, **kwargs):
        super().__init__(**kwargs)
        self.moment = moment

    def listener(self):
        return Killer(self.moment)


MARKS.mkdir(exist_ok=True)
with DAG("killed", default_args={"retry_delay": timedelta(seconds=1)}) as dag:
    for moment in [*(phase.name for phase in Phase), "half"]:
        data = PipelineData("data")
        Killed(
            task_id=moment.lower(),
            moment=moment,
            script_name="work.py",
            source_directory=str(STEPS / "work"),
            arguments=[data, moment],
            outputs=[data],
        )
"""
MOMENTS = [*(phase.name.lower() for phase in Phase), "half"]


@pytest.fixture(scope="module")
def killed(airflow: RunningAirflow) -> Example:
    return Example.add(airflow, "killed", KILLING, {"work": WORK})


@pytest.fixture(scope="module")
def killed_run(killed: Example) -> str:
    return killed.run()


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_second_try_leaves_the_right_result(killed: Example, killed_run: str, moment: str) -> None:
    assert killed.airflow.client.task_instance("killed", killed_run, moment)["try_number"] == 2
    assert killed.text(killed_run, moment, "data") == "first half, second half"
    assert killed.records(killed_run)[moment].status is RunStatus.COMPLETED


@pytest.mark.parametrize("moment", [moment for moment in MOMENTS if moment != "publish"])
def test_nothing_that_was_killed_is_reused(killed: Example, killed_run: str, moment: str) -> None:
    assert killed.records(killed_run)[moment].reused_from is None
    assert {record.status for record in killed.attempts(killed_run, moment)[:-1]} <= {RunStatus.FAILED}


def test_a_result_that_was_complete_before_the_kill_is_reused(killed: Example, killed_run: str) -> None:
    first, second = killed.attempts(killed_run, "publish")
    assert (first.status, second.reused_from) == (RunStatus.COMPLETED, first.run_id)


def test_no_process_of_a_killed_try_is_left(killed_run: str) -> None:
    shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "sleep 876543" not in shown.splitlines()


def test_no_unfinished_file_of_a_killed_try_is_left(killed: Example, killed_run: str) -> None:
    root = killed.root_id(killed_run)
    left = [*Path(killed.airflow.workspace).glob("staging/*"), *killed.airflow.workspace.glob("**/.refrain-staging/*")]
    assert [path for path in left if root in path.name] == []
    outputs = {path.parent.name for path in killed.airflow.workspace.glob(f"datastores/*/azureml/{root}.*/data")}
    finished = {record.reused_from or record.run_id for record in killed.records(killed_run).values()}
    assert outputs == finished
