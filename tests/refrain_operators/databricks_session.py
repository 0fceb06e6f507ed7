"""One session with Airflow, as a program: a pipeline on Databricks, run twice by ``dag.test``, trigger and all.

Started by `test_databricks_session.py` in a process of its own, because Airflow takes its settings from the
environment once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.utils.db import initdb

from refrain import Workspace
from refrain.tracking.record import RunStore
from refrain.tracking.run_id import root_id_for


def run(dag: Any) -> dict[str, Any]:
    """Run the DAG, and say what became of its step."""
    done = dag.test()
    records = RunStore(Workspace().state).steps(root_id_for(done.dag_id, done.run_id))
    states = {task.task_id: str(task.state) for task in done.get_task_instances()}
    link = next(t for t in done.get_task_instances() if t.task_id == "work").xcom_pull(
        task_ids="work", key="_link_DatabricksRunLink"
    )
    steps = [
        {"run_id": r.run_id, "status": r.status.value, "reused_from": r.reused_from, "error": r.error} for r in records
    ]
    return {"states": states, "steps": steps, "link": link}


def main(dags_folder: str, report: Path) -> None:
    """Do it all."""
    initdb()
    dag = DagBag(dags_folder).dags["on_databricks"]
    report.write_text(json.dumps([run(dag), run(dag)]), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
