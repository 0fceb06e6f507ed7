"""Spark applications as operators: ordered by their data, refused while the DAG file is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk import DAG

from refrain import HDFSOutputDatasetConfig, PipelineParameter
from refrain.errors import UserError
from refrain.steps.command import Literal, OutputPath, ParameterValue, SparkSubmit
from refrain_operators import PythonScriptOperator, SparkOperator


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "work.py").write_text("")
    return str(tmp_path)


def test_an_application_is_a_step_that_others_come_after(source: str) -> None:
    out, rate = HDFSOutputDatasetConfig("out"), PipelineParameter("rate", 1)
    with DAG("native", params={"rate": 1}):
        count = SparkOperator(
            task_id="count",
            file="work.py",
            source_directory=source,
            compute_target="pool",
            arguments=[rate, "{{ ds }}", out],
            conf={"spark.sql.shuffle.partitions": 8},
        )
        read = PythonScriptOperator(
            task_id="read", script_name="work.py", source_directory=source, inputs=[out.as_input("out")]
        )
    assert read.upstream_task_ids == {"count"}
    assert (count.step.kind, count.step.name, count.step.compute) == ("spark", "count", "pool")
    assert count.step.command[1:] == (
        SparkSubmit((("spark.sql.shuffle.partitions", "8"),)),
        Literal("work.py"),
        ParameterValue("rate"),
        Literal("{{ ds }}"),
        OutputPath("out"),
    )
    assert list(count.declared) == ["rate"]


def test_mistakes_are_told_while_the_file_is_read(source: str) -> None:
    with DAG("native"), pytest.raises(UserError, match=r"Step 'count': spark\.master says where the step runs"):
        SparkOperator(task_id="count", file="work.py", source_directory=source, conf={"spark.master": "yarn"})
