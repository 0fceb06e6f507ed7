"""One session with Airflow, as a program: the DAG of a folder, run twice by ``dag.test``, triggers and all.

In a process of its own, because Airflow takes its settings from the environment once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from refrain import Workspace
from refrain.tracking.record import RunStore
from refrain.tracking.run_id import root_id_for


def run(dag: Any) -> dict[str, Any]:
    """Run the DAG, and say what became of its steps."""
    done = dag.test()
    records = RunStore(Workspace().state).steps(root_id_for(done.dag_id, done.run_id))
    states = {task.task_id: str(task.state) for task in done.get_task_instances()}
    key = "_link_DatabricksRunLink"
    links = {task.task_id: task.xcom_pull(task_ids=task.task_id, key=key) for task in done.get_task_instances()}
    steps = [
        {"run_id": r.run_id, "status": r.status.value, "reused_from": r.reused_from, "error": r.error} for r in records
    ]
    return {"states": states, "steps": steps, "links": links}


def run_twice(home: Path, dag: str, workspace: str) -> tuple[list[dict[str, Any]], str]:
    """Start the program for a DAG file of this text, and return what became of both runs, and what was said."""
    (home / "dags").mkdir(parents=True)
    (home / "dags" / "dag.py").write_text(dag, encoding="utf-8")
    report = home / "report.json"
    settings = {"REFRAIN_WORKSPACE": workspace, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(
        [sys.executable, "-m", "fakes.dag_session", str(home / "dags"), str(report)],
        env={**os.environ, **settings, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-6000:]
    return json.loads(report.read_text(encoding="utf-8")), said


def main(dags_folder: str, report: Path) -> None:
    """Do it all."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

    initdb()
    (dag,) = DagBag(dags_folder).dags.values()
    report.write_text(json.dumps([run(dag), run(dag)]), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
