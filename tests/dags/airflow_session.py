"""One session with a real Airflow, as a program: read the examples' DAGs, run them and write down what happened.

Started by `conftest.py` in a process of its own, because Airflow takes its settings from the environment once.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.db import initdb

from refrain import Workspace
from refrain.tracking.record import RunStore
from refrain.tracking.run_id import root_id_for
from refrain_operators.references import step_key

RUNS = {"retrain_diabetes": 1, "screening_report": 2, "alpha_sweep": 2, "mapped_cases": 1}


def described(dag: Any) -> dict[str, Any]:
    """What Airflow read of a DAG."""
    return {
        "edges": sorted(f"{task.task_id} > {after}" for task in dag.tasks for after in task.downstream_task_ids),
        "params": {name: [dag.params.get_param(name).schema.get("type"), dag.params[name]] for name in dag.params},
        "run_immediately": str(getattr(dag.timetable, "run_immediately", "")),
        "outlets": {task.task_id: [asset.uri for asset in task.outlets] for task in dag.tasks if task.outlets},
        "retries": {task.task_id: task.retries for task in dag.tasks},
        "serialized": hashlib.sha256(json.dumps(DagSerialization.to_dict(dag), sort_keys=True).encode()).hexdigest(),
    }


def run(dag: Any) -> dict[str, Any]:
    """Run a DAG in this process; tasks by id, and the map index where they are mapped."""
    done = dag.test()
    runs = RunStore(Workspace().state).latest_steps(root_id_for(done.dag_id, done.run_id))
    reused = {record.key: record.reused_from for record in runs}
    tasks = {}
    for task in done.get_task_instances():
        name = task.task_id if task.map_index < 0 else f"{task.task_id}[{task.map_index}]"
        found = task.xcom_pull(task_ids=task.task_id, map_indexes=task.map_index)
        key = step_key(task.task_id, task.map_index)
        tasks[name] = {"state": str(task.state), "reused_from": reused.get(key), "xcom": found}
    return {"state": str(done.state), "tasks": tasks}


def main(dags_folder: str, report: Path) -> None:
    """Do it all."""
    initdb()
    first, second = DagBag(dags_folder), DagBag(dags_folder)
    result: dict[str, Any] = {
        "errors": first.import_errors,
        "dags": {dag_id: described(dag) for dag_id, dag in first.dags.items()},
        "again": {dag_id: described(dag) for dag_id, dag in second.dags.items()},
        "runs": {dag_id: [run(first.dags[dag_id]) for _ in range(count)] for dag_id, count in RUNS.items()},
    }
    report.write_text(json.dumps(result, default=str), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
