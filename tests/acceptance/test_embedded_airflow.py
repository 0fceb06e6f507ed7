"""A real Airflow in a folder: starts, runs a DAG, tells what happened, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import pytest

from acceptance.running_airflow import PATIENCE, RunningAirflow
from fakes.waiting import eventually
from refrain.errors import AirflowRequestError, AirflowServerError, DagImportError
from refrain_operators import processes
from refrain_operators.airflow_home import MARK
from refrain_operators.embedded import EmbeddedAirflow

_eventually = partial(eventually, patience=PATIENCE)

GREETING = """
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.python import PythonOperator
    from airflow.sdk import DAG


    def greet(dag_run):
        print("greeting", dag_run.conf.get("name"))
        return {"greeted": dag_run.conf.get("name"), "count": 2}


    with DAG("greeting"):
        BashOperator(task_id="shell", bash_command="echo hello from $REFRAIN_WORKSPACE; which python")
        PythonOperator(task_id="python", python_callable=greet)
"""

FAILING = """
    from airflow.sdk import DAG, task

    with DAG("failing"):
        @task
        def fail():
            raise ValueError("the reason")
        fail()
"""

LASTING = """
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import DAG, task

    with DAG("lasting"):
        BashOperator(task_id="shell", bash_command="sleep {seconds}")
        @task
        def python():
            import time
            print("python waits", flush=True)
            time.sleep({seconds})
        python()
"""


def _of(home: Path) -> set[processes.Process]:
    return processes.marked(MARK, str(home))


def test_a_run_over_rest_gives_its_log_and_its_xcom(airflow: RunningAirflow) -> None:
    airflow.add_dag("greeting", GREETING)
    run = airflow.run("greeting", conf={"name": "Ada"})
    assert run["state"] == "success"
    log = airflow.client.task_log("greeting", run["dag_run_id"], "shell")
    assert any(f"hello from {airflow.workspace}" in line for line in log), log
    assert any(str(Path(sys.executable).parent) in line for line in log), log
    assert airflow.client.xcom("greeting", run["dag_run_id"], "python") == {"greeted": "Ada", "count": 2}
    states = {task["task_id"]: task["state"] for task in airflow.client.task_instances("greeting", run["dag_run_id"])}
    assert states == {"shell": "success", "python": "success"}


def test_a_failed_task_shows_its_traceback_and_runs_again_when_cleared(airflow: RunningAirflow) -> None:
    airflow.add_dag("failing", FAILING)
    run_id = airflow.run("failing")["dag_run_id"]
    assert "ValueError: the reason" in airflow.client.task_log("failing", run_id, "fail")
    airflow.client.clear_task_instances("failing", run_id)
    assert airflow.client.wait_for_run("failing", run_id)["state"] == "failed"
    assert airflow.client.task_instance("failing", run_id, "fail")["try_number"] == 2
    airflow.client.set_task_state("failing", run_id, "fail", "success")
    assert airflow.client.set_run_state("failing", run_id, "success")["state"] == "success"
    airflow.client.delete_run("failing", run_id)
    with pytest.raises(AirflowRequestError, match=r"GET .*/dagRuns/.* 404 Not Found.*was not found"):
        airflow.client.dag_run("failing", run_id)


def test_a_logical_date_and_a_run_id_are_kept(airflow: RunningAirflow) -> None:
    airflow.add_dag("greeting", GREETING)
    day = datetime(2026, 3, 1, tzinfo=timezone.utc)
    run = airflow.client.trigger("greeting", run_id="march", logical_date=day)
    assert (run["dag_run_id"], run["logical_date"]) == ("march", "2026-03-01T00:00:00Z")
    assert airflow.client.wait_for_run("greeting", "march")["state"] == "success"


def test_a_cancelled_run_ends_its_tasks(airflow: RunningAirflow) -> None:
    airflow.add_dag("lasting", LASTING.format(seconds=98761))
    run_id = airflow.client.trigger("lasting")["dag_run_id"]

    def states() -> set[str]:
        return {task["state"] for task in airflow.client.task_instances("lasting", run_id)}

    assert _eventually(lambda: states() == {"running"}), states()
    assert _eventually(lambda: bool(_sleepers(98761)))
    assert _eventually(lambda: "python waits" in airflow.client.task_log("lasting", run_id, "python"))
    assert airflow.client.cancel("lasting", run_id)["state"] == "failed"
    assert _eventually(lambda: not _sleepers(98761)), _sleepers(98761)


def _sleepers(seconds: int) -> list[str]:
    shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if line == f"sleep {seconds}"]


def test_a_dag_file_that_cannot_be_imported_is_told_with_its_traceback(airflow: RunningAirflow) -> None:
    path = airflow.dags_folder / "broken.py"
    path.write_text("import airflow  # a DAG\nraise RuntimeError('broken on purpose')\n", encoding="utf-8")
    with pytest.raises(DagImportError, match=r"(?s)'broken'.*broken\.py:.*broken on purpose"):
        airflow.client.wait_for_dag("broken", timeout=PATIENCE)
    path.unlink()


def test_a_changed_dag_file_counts_once_waited_for(airflow: RunningAirflow) -> None:
    source = 'from airflow.sdk import DAG\n\nwith DAG("described", description="{}"):\n    pass\n'
    airflow.add_dag("described", source.format("first"))
    airflow.add_dag("described", source.format("second"))
    assert airflow.client.dag("described")["description"] == "second"


def test_a_dag_file_that_imports_only_our_operators_is_found(airflow: RunningAirflow) -> None:
    path = airflow.dags_folder / "by_operators.py"
    path.write_text(
        "import importlib\nimport refrain_operators\n"
        "sdk = importlib.import_module('air' + 'flow.sdk')\nwith sdk.DAG('by_operators'):\n    pass\n",
        encoding="utf-8",
    )
    assert airflow.client.wait_for_dag("by_operators")["fileloc"] == str(path)


def test_no_setting_is_unknown_or_deprecated(airflow: RunningAirflow) -> None:
    logs = [path.read_text(encoding="utf-8") for path in (airflow.home / "logs").glob("*.log")]
    lines = [line for log in logs for line in log.splitlines() if "deprecat" in line.lower()]
    others = ("StarletteDeprecationWarning", "/airflow/providers/")  # what packages say of one another
    assert [line for line in lines if not any(other in line for other in others)] == []


def test_stopping_ends_the_tasks_that_run_and_starting_again_keeps_the_home(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "lasting.py").write_text(textwrap.dedent(LASTING.format(seconds=98762)), encoding="utf-8")
    airflow = EmbeddedAirflow(tmp_path / "home", dags_folder=dags, port=0)
    states: list[tuple[str, str]] = []
    with airflow:
        client = airflow.client()
        client.wait_for_dag("lasting")
        client.unpause("lasting")
        run_id = client.trigger("lasting")["dag_run_id"]
        assert _eventually(lambda: bool(_sleepers(98762)) and len(_of(tmp_path / "home")) > 8)
        with pytest.raises(AirflowServerError, match=rf"already runs in .*: process {os.getpid()}, http"):
            EmbeddedAirflow(tmp_path / "home").start()
    assert _of(tmp_path / "home") == set()
    assert _sleepers(98762) == []

    airflow.start(progress=lambda component, state: states.append((component, state)))
    try:
        assert ("database", "migrating") not in states
        assert {name for name, _ in states} == {"database", "api-server", "scheduler", "dag-processor", "triggerer"}
        assert airflow.client().dag_run("lasting", run_id)["dag_run_id"] == run_id
    finally:
        airflow.stop()


def test_a_component_that_crashes_while_starting_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    airflow = EmbeddedAirflow(tmp_path / "home", port=0, environment={"AIRFLOW__CORE__EXECUTOR": "NoSuchExecutor"})
    with pytest.raises(
        AirflowServerError, match=r"(?s)ended with exit code 1\. Its log .*\.log ends with:.*NoSuchExecutor"
    ):
        airflow.start()
    assert _of(tmp_path / "home") == set()


def test_a_database_that_cannot_be_reached_is_told_by_the_migration(tmp_path: Path) -> None:
    connection = "postgresql+psycopg2://someone:secret-word@127.0.0.1:9/none"
    airflow = EmbeddedAirflow(tmp_path / "home", port=0, sql_alchemy_conn=connection)
    with pytest.raises(AirflowServerError, match=r"(?s)'migrate' of the Airflow in .*Connection refused") as caught:
        airflow.start()
    assert "secret-word" not in str(caught.value) + repr(airflow) + repr(airflow.home)


def test_all_processes_end_when_their_owner_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from refrain_operators.embedded import EmbeddedAirflow\n"
        "EmbeddedAirflow(sys.argv[1], port=0).start(); print('up', flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "home")], stdout=subprocess.PIPE)
    try:
        assert owner.stdout
        assert owner.stdout.readline() == b"up\n"
    finally:
        owner.kill()
        owner.communicate()
    assert _eventually(lambda: not _of(tmp_path / "home")), _of(tmp_path / "home")


def test_ctrl_c_while_starting_leaves_nothing(tmp_path: Path) -> None:
    script = "import sys; from refrain_operators.embedded import EmbeddedAirflow as A; A(sys.argv[1], port=0).start()"
    owner = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "home")], stderr=subprocess.PIPE)
    assert _eventually(lambda: len(_of(tmp_path / "home")) >= 2)
    owner.send_signal(signal.SIGINT)
    _, errors = owner.communicate(timeout=PATIENCE)
    assert b"KeyboardInterrupt" in errors
    assert _of(tmp_path / "home") == set()
