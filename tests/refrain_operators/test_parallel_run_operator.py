"""Parallel runs as operators: ordered by what they read and write, refused while the DAG file is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from refrain import Environment, ParallelRunConfig, PipelineData, PipelineParameter
from refrain.errors import UserError
from refrain_operators import ParallelRunOperator, PythonScriptOperator


@pytest.fixture
def config(tmp_path: Path) -> Any:
    (tmp_path / "work.py").write_text("def run(mini_batch): return mini_batch")
    return lambda **settings: ParallelRunConfig(
        Environment(), "work.py", 0, "append_row", "local", 1, source_directory=tmp_path, **settings
    )


def test_it_comes_after_who_writes_its_input_and_before_who_reads_its_output(config: Any, tmp_path: Path) -> None:
    script = {"script_name": "work.py", "source_directory": str(tmp_path)}
    made, scores = PipelineData("made"), PipelineData("scores")
    with DAG("native"):
        make = PythonScriptOperator(task_id="make", arguments=[made], outputs=[made.as_dataset()], **script)
        score = ParallelRunOperator(
            task_id="score_all", parallel_run_config=config(), inputs=[made.as_dataset()], output=scores
        )
        read = PythonScriptOperator(task_id="read", inputs=[scores], **script)
    assert (score.upstream_task_ids, read.upstream_task_ids) == ({"make"}, {"score_all"})
    assert score.producers == {"made": make}
    assert score.step.kind == "parallel_run"


def test_its_settings_may_be_parameters_of_the_dag(config: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    made = PipelineData("made")
    with DAG("native"):
        PythonScriptOperator(
            task_id="make", script_name="work.py", source_directory=str(tmp_path), outputs=[made.as_dataset()]
        )
        score = ParallelRunOperator(
            task_id="score",
            parallel_run_config=config(process_count_per_node=PipelineParameter("processes", 2)),
            inputs=[made.as_dataset()],
            output=PipelineData("scores"),
        )
    assert list(score.declared) == ["processes"]


def test_mistakes_are_told_while_the_file_is_read(config: Any) -> None:
    with DAG("native"), pytest.raises(UserError, match="ParallelRunStep 'score' has no inputs"):
        ParallelRunOperator(task_id="score", parallel_run_config=config(), inputs=[], output=PipelineData("scores"))
