"""Copies as operators: ordered by what they read and write, refused while the DAG file is read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from fakes.remote_stores import s3_server
from fakes.waiting import eventually
from refrain import DataReference, Datastore, PipelineData, SqlDataReference, Workspace
from refrain.errors import PipelineError, StepCanceledError, UserError
from refrain.tracking.record import RunStatus, RunStore
from refrain.tracking.run_id import root_id_for
from refrain_operators import DataTransferOperator, PythonScriptOperator


@pytest.fixture
def store(tmp_path: Path) -> Datastore:
    return Datastore.get_default(Workspace(tmp_path / "workspace"))


def _move(store: Datastore, source, target: str = "to", **settings) -> DataTransferOperator:
    return DataTransferOperator(
        task_id="move", source=source, destination=DataReference(store, "there", target), **settings
    )


def test_a_copy_comes_after_who_writes_its_source_and_before_who_reads_it(store, tmp_path):
    (tmp_path / "work.py").write_text("")
    script = {"script_name": "work.py", "source_directory": str(tmp_path)}
    made = PipelineData("made")
    with DAG("native"):
        make = PythonScriptOperator(task_id="make", arguments=[made], outputs=[made], **script)
        move = _move(store, made)
        read = PythonScriptOperator(task_id="read", inputs=[move.get_output()], **script)
    assert move.upstream_task_ids == {"make"}
    assert read.upstream_task_ids == {"move"}
    assert move.producers == {"made": make}
    assert move.step.kind == "data_transfer"


def test_mistakes_are_told_while_the_file_is_read(store):
    with DAG("native"):
        with pytest.raises(UserError, match="source_reference_type 'table' is not one of file, directory"):
            _move(store, DataReference(store, "source", "from"), source_reference_type="table")
        with pytest.raises(PipelineError, match=r"its destination 'from/in' .* is its source, or inside it"):
            _move(store, DataReference(store, "source", "from"), "from/in")


def test_a_table_is_waited_for_by_order_alone(store, tmp_path):
    sales = Datastore.register_sql(Workspace(tmp_path / "workspace"), "sales", "sqlite:////srv/sales.db")
    with DAG("native"):
        load = DataTransferOperator(
            task_id="load",
            source=DataReference(store, "source", "from"),
            destination=SqlDataReference(sales, sql_table="sold"),
        )
    with pytest.raises(UserError, match=r"'load' fills a table, which is no input of files.* on Airflow copy >> step"):
        load.get_output()


def _context(operator: DataTransferOperator, dag: DAG) -> dict[str, Any]:
    """What a worker gives a task, as far as the operator asks for it."""
    instance = SimpleNamespace(
        dag_id=dag.dag_id, run_id="one", task_id=operator.task_id, map_index=-1, try_number=1, max_tries=0
    )
    run = SimpleNamespace(clear_number=0, start_date=None, conf={})
    return {"ti": instance, "dag": dag, "dag_run": run, "params": {}, "outlet_events": {}}


def test_a_killed_task_stops_the_copy_and_another_try_goes_on(tmp_path, monkeypatch):
    workspace = Workspace(tmp_path / "workspace")
    (tmp_path / "disk" / "raw").mkdir(parents=True)
    for number in range(300):
        (tmp_path / "disk" / "raw" / f"{number}.txt").write_text(f"number {number}")
    disk = Datastore.register_folder(workspace, "disk", tmp_path / "disk")
    with s3_server() as server, ThreadPoolExecutor(1) as task:
        monkeypatch.setenv("AIRFLOW_CONN_OBJECTS", server.connection())
        objects = Datastore.register(workspace, "objects", f"s3://{server.make_bucket()}", "objects")
        with DAG("native") as dag:
            move = DataTransferOperator(
                task_id="move",
                source=DataReference(disk, "files", "raw"),
                destination=DataReference(objects, "there", "to"),
                workspace=workspace.root,
            )
        server.requests.clear()
        may_go_on = server.hold_writes(after=50)
        ended = task.submit(move._execute, _context(move, dag))
        assert eventually(lambda: server.requests["PUT"] > 50)
        server.delay = 0.1  # so that it is far from done when it takes notice
        move.on_kill()
        may_go_on.set()
        with pytest.raises(StepCanceledError, match="Step 'move' was canceled; the next run goes on from where it was"):
            ended.result(timeout=60)
        (record,) = RunStore(workspace.state).latest_steps(root_id_for("native", "one"))
        assert record.status is RunStatus.CANCELED
        server.delay = 0.0
        server.requests.clear()
        move._execute(_context(move, dag))
        assert 0 < server.requests["PUT"] < 300
        assert len(workspace.state.stores.on("objects", "to").files()) == 300
