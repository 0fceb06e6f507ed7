"""Databricks steps on a real Airflow: deferred while the job runs, killed and gone on with, canceled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from acceptance.example import Example, eventually
from acceptance.running_airflow import RunningAirflow
from refrain import Workspace
from refrain.compute.target import Target, TargetTable
from refrain.testing.databricks import DatabricksServer, databricks_server
from refrain.testing.databricks.runs import SubmittedRun
from refrain.tracking.record import RunStatus

pytestmark = pytest.mark.timeout(600)  # a machine that is busy with other things takes its time

WORK = """
    import pathlib, sys, time
    given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    while not pathlib.Path(given["--gate"]).exists():
        time.sleep(0.05)
    open(given["-out"].removeprefix("file:"), "w").write("made by " + given["--name"])
    print("written")
"""
STEPS = """
import logging, os, signal

from refrain import DatabricksStep
from refrain_operators import DatabricksOperator
from refrain_operators.step_operator import LogListener

MARK = STEPS / "mark"


def databricks(name):
    params = ["--gate", str(STEPS / f"gate-{name}"), "--name", name]
    source = str(STEPS / "work")
    return DatabricksStep(
        name,
        python_script_name="work.py",
        python_script_params=params,
        source_directory=source,
        outputs=[PipelineData("out")],
        compute_target="lab",
    )


class Killer(LogListener):
    def line(self, key, line):
        super().line(key, line)
        if line.endswith("is RUNNING") and not MARK.exists():
            MARK.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Killed(DatabricksOperator):
    def listener(self):
        return Killer(logging.getLogger("refrain.step"))


dag = pipeline_dag(Pipeline(Workspace(), [databricks("waits")], name="databricks_waits"))
canceled = pipeline_dag(Pipeline(Workspace(), [databricks("ended")], name="databricks_ended"))
(definition,) = Pipeline(Workspace(), [databricks("killed")], name="k").definition.steps
with DAG("databricks_killed", default_args={"retry_delay": timedelta(seconds=1)}) as killed:
    Killed(task_id="killed", step=definition, deferrable=False)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabricksServer]:
    with databricks_server(tmp_path_factory.mktemp("databricks")) as server:
        yield server


@pytest.fixture(scope="module")
def waits(airflow: RunningAirflow, server: DatabricksServer) -> Example:
    host, _, port = server.url.removeprefix("http://").partition(":")
    connection = {"connection_id": "lab", "conn_type": "databricks", "host": host, "port": int(port), "schema": "http"}
    airflow.client._json("POST", "/connections", {**connection, "password": server.token})
    settings = {"conn_id": "lab", "shares_files": True, "existing_cluster_id": server.cluster_id, "poll_seconds": 1}
    TargetTable(Workspace(airflow.workspace).state.registry).put(Target("lab", "databricks", settings))
    example = Example.write(airflow, "databricks_waits", STEPS, {"work": WORK})
    example.ready()
    for dag_id in ("databricks_killed", "databricks_ended"):
        airflow.client.wait_for_dag(dag_id, timeout=180, filename="databricks_waits.py")
        airflow.client.unpause(dag_id)
    return example


def _of(server: DatabricksServer, name: str) -> list[SubmittedRun]:
    found = server.runs.all()
    return [run for run in found if name in run.only_task["spark_python_task"]["parameters"]]


def _is_waited_for(example: Example, run_id: str) -> bool:
    """Wait until the triggerer looks at the job of a run."""
    logs = example.airflow.home / "logs" / f"dag_id={example.dag_id}" / f"run_id={run_id}"
    return eventually(lambda: any("in run state" in log.read_text() for log in logs.rglob("*.trigger.*.log")))


def test_a_step_holds_no_slot_while_its_job_runs_and_is_reused_afterwards(
    waits: Example, server: DatabricksServer
) -> None:
    run_id = waits.trigger()
    assert eventually(lambda: waits.states(run_id).get("waits") == "deferred"), waits.states(run_id)
    (run,) = _of(server, "waits")
    record = waits.records(run_id)["waits"]
    assert record.status is RunStatus.RUNNING
    link = waits.airflow.client.xcom("databricks_waits", run_id, "waits", "_link_DatabricksRunLink")
    assert link == record.tags["databricks.run_page"] == f"{server.url}/?o=1#job/{run.run_id}/run/{run.run_id}"
    (waits.steps / "gate-waits").touch()
    assert waits.wait(run_id) == "success", waits.errors(run_id)
    assert waits.text(run_id, "waits", "out") == "made by waits"
    assert [attempt.run_id for attempt in waits.attempts(run_id, "waits")] == [record.run_id]
    assert "written" in waits.log(run_id, "waits")
    again = waits.run()
    assert waits.records(again)["waits"].reused_from == record.run_id
    assert len(_of(server, "waits")) == 1


def test_the_job_of_a_killed_worker_is_gone_on_with_and_never_submitted_twice(
    waits: Example, server: DatabricksServer
) -> None:
    killed = Example(waits.airflow, "databricks_killed")
    run_id = killed.trigger()
    assert eventually((waits.steps / "mark").exists)
    assert eventually(lambda: len(killed.attempts(run_id, "killed")) == 2), killed.states(run_id)
    (waits.steps / "gate-killed").touch()
    assert killed.wait(run_id) == "success", killed.errors(run_id)
    assert killed.text(run_id, "killed", "out") == "made by killed"
    assert killed.airflow.client.task_instance("databricks_killed", run_id, "killed")["try_number"] == 2
    assert len(_of(server, "killed")) == 1
    first, second = killed.attempts(run_id, "killed")
    assert (first.status, second.status) == (RunStatus.FAILED, RunStatus.COMPLETED)
    assert f"going on with run {_of(server, 'killed')[0].run_id}" in killed.log(run_id, "killed", 2)


@pytest.mark.parametrize("is_waited_for", [True, False])
def test_a_run_that_is_marked_as_failed_while_its_step_is_deferred_ends_the_job(
    waits: Example, server: DatabricksServer, is_waited_for: bool
) -> None:
    ended = Example(waits.airflow, "databricks_ended")
    run_id = ended.trigger()
    assert eventually(lambda: ended.states(run_id).get("ended") == "deferred"), ended.states(run_id)
    run = _of(server, "ended")[-1]
    assert run.end is None
    assert not is_waited_for or _is_waited_for(ended, run_id)
    ended.airflow.client.cancel("databricks_ended", run_id)
    assert eventually(lambda: run.end is not None), run.phase
    assert run.end is not None
    assert run.end.result == "CANCELED"
    assert eventually(lambda: ended.records(run_id)["ended"].status is RunStatus.CANCELED)


def test_a_task_that_is_cleared_while_it_is_deferred_leaves_one_job_at_most(
    waits: Example, server: DatabricksServer
) -> None:
    ended = Example(waits.airflow, "databricks_ended")
    run_id = ended.trigger()
    assert eventually(lambda: ended.states(run_id).get("ended") == "deferred"), ended.states(run_id)
    assert _is_waited_for(ended, run_id)
    ended.airflow.client.clear_task_instances("databricks_ended", run_id, ["ended"])
    assert eventually(lambda: len(ended.attempts(run_id, "ended")) == 2), ended.states(run_id)
    assert eventually(lambda: [run.end is None for run in _of(server, "ended")].count(True) == 1)
    (waits.steps / "gate-ended").touch()
    assert ended.wait(run_id) == "success", ended.errors(run_id)
    first, second = ended.attempts(run_id, "ended")
    assert (first.status.is_final, second.status) == (True, RunStatus.COMPLETED)
    assert ended.text(run_id, "ended", "out") == "made by ended"
