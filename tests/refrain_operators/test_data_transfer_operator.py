"""Copies as operators: ordered by what they read and write, refused while the DAG file is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk import DAG

from refrain import DataReference, Datastore, PipelineData, Workspace
from refrain.errors import PipelineError, UserError
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
