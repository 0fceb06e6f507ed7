"""Copies as tasks of a real Airflow: reused, copied again where the destination is lost, gone on with after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from acceptance.example import Example
from acceptance.running_airflow import RunningAirflow
from refrain import Datastore, Workspace

READ = """
    import os, sys
    open(sys.argv[2], "w").write(" ".join(sorted(os.listdir(sys.argv[1]))))
"""
TRANSFERS = """
import logging, os, signal

from refrain import DataReference, DataTransferStep, Datastore
from refrain.execution import transfer_body
from refrain_operators import DataTransferOperator
from refrain_operators.step_operator import LogListener

transfer_body._TOLD_EVERY_SECONDS = 0.0
MARK = STEPS / "killed"


def at(store, path):
    return DataReference(Datastore(Workspace(), store), store, path)


class Killer(LogListener):
    def line(self, key, line):
        super().line(key, line)
        if " of 40 files" in line and not MARK.exists():
            MARK.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Killed(DataTransferOperator):
    def listener(self):
        return Killer(logging.getLogger("refrain.step"))


with DAG("transfers", default_args={"retry_delay": timedelta(seconds=1)}) as dag:
    move = Killed(task_id="move", source=at("landing", "raw"), destination=at("lake", "native"))
    out = PipelineData("out")
    operator("read", move.get_output(), out, inputs=[move.get_output()], outputs=[out])

step_move = DataTransferStep("move", at("landing", "raw"), at("lake", "pipeline"))
moved, names = step_move.get_output(), PipelineData("names")
whole = pipeline_dag(
    Pipeline(Workspace(), [step("read", moved, names, inputs=[moved], outputs=[names])], name="transfer_pipeline")
)
"""


@pytest.fixture(scope="module")
def lake(airflow: RunningAirflow) -> Path:
    """The destination's folder; its neighbour holds 40 files."""
    lake, landing = airflow.workspace.parent / "lake", airflow.workspace.parent / "landing"
    (landing / "raw").mkdir(parents=True)
    lake.mkdir()
    for number in range(40):
        (landing / "raw" / f"{number:02}").write_text(f"number {number}")
    workspace = Workspace(airflow.workspace)
    Datastore.register_folder(workspace, "lake", lake)
    Datastore.register_folder(workspace, "landing", landing)
    return lake


@pytest.fixture(scope="module")
def transfers(airflow: RunningAirflow, lake: Path) -> Example:
    return Example.add(airflow, "transfers", TRANSFERS, {"read": READ})


def test_a_copy_whose_task_was_killed_goes_on_in_the_next_try(transfers: Example, lake: Path) -> None:
    run_id = transfers.run()
    assert len(list((lake / "native").iterdir())) == 40
    assert transfers.text(run_id, "read", "out") == " ".join(f"{number:02}" for number in range(40))
    assert len(transfers.attempts(run_id, "move")) == 2
    assert "of them had arrived in an earlier try" in transfers.log(run_id, "move", 2)
    assert not list(lake.glob(".refrain*"))


def test_what_was_copied_is_reused_until_it_is_lost(transfers: Example, lake: Path) -> None:
    assert transfers.started(transfers.run()) == set()
    (lake / "native" / "07").unlink()
    run_id = transfers.run()
    assert transfers.started(run_id) == {"move"}
    assert "is not what its step wrote" in transfers.log(run_id, "move")
    assert (lake / "native" / "07").read_text() == "number 7"


def test_a_pipeline_with_a_copy_is_a_dag(airflow: RunningAirflow, transfers: Example, lake: Path) -> None:
    airflow.client.wait_for_dag("transfer_pipeline", timeout=180, filename="transfers.py")
    airflow.client.unpause("transfer_pipeline")
    run = airflow.run("transfer_pipeline", timeout=180)
    assert run["state"] == "success"
    assert len(list((lake / "pipeline").iterdir())) == 40
