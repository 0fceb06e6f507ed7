"""A Spark application through Airflow's own life of a task, between ordinary steps, and reused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.dag_session import run_twice
from fakes.project import Project
from fakes.spark_cluster import SMALL, require_spark
from refrain.compute.target import Target, TargetTable

WORDS = """
    import sys
    open(sys.argv[1], "w").write("a\\nb\\na\\n")
"""
COUNT = """
    import sys
    from pyspark.sql import SparkSession
    context = SparkSession.builder.getOrCreate().sparkContext
    words = context.textFile(sys.argv[1]).map(lambda word: (word, 1)).reduceByKey(lambda a, b: a + b)
    print("counts on", context.master)
    words.map(lambda pair: f"{pair[0]},{pair[1]}").saveAsTextFile(sys.argv[2])
"""
READ = """
    import pathlib, sys
    parts = pathlib.Path(sys.argv[1]).glob("part-*")
    print("read", sorted(line.strip() for part in parts for line in part.open()))
    open(sys.argv[2], "w").write("read")
"""
DAG = """
from airflow.sdk import DAG
from refrain import HDFSOutputDatasetConfig, PipelineData
from refrain_operators import PythonScriptOperator, SparkOperator

with DAG("on_spark") as dag:
    text, counted, last = PipelineData("text"), HDFSOutputDatasetConfig("counted"), PipelineData("last")
    given = counted.as_input("given")
    PythonScriptOperator(
        task_id="words", script_name="words.py", source_directory={words!r}, arguments=[text], outputs=[text]
    )
    SparkOperator(
        task_id="count",
        file="count.py",
        source_directory={count!r},
        compute_target="here",
        arguments=[text, counted],
        inputs=[text],
        outputs=[counted],
    )
    PythonScriptOperator(
        task_id="read",
        script_name="read.py",
        source_directory={read!r},
        arguments=[given, last],
        inputs=[given],
        outputs=[last],
    )
"""


@pytest.mark.spark
@pytest.mark.timeout(600)
def test_a_spark_application_is_a_task_among_others_and_is_reused(tmp_path: Path) -> None:
    require_spark()
    project = Project(tmp_path)
    TargetTable(project.state.registry).put(Target("here", "spark", {"master": "local[1]", "conf": SMALL}))
    sources = {
        name: str(project.source(name, code)) for name, code in (("words", WORDS), ("count", COUNT), ("read", READ))
    }

    (first, second), said = run_twice(tmp_path / "airflow", DAG.format(**sources), project.workspace.root)

    assert set(first["states"].values()) == {"success"}, said[-6000:]
    assert "counts on local[1]" in said
    assert "read ['a,2', 'b,1']" in said
    assert [step["reused_from"] for step in first["steps"]] == [None] * 3
    made = {step["run_id"] for step in first["steps"]}
    assert {step["reused_from"] for step in second["steps"]} == made
    assert project.leftovers() == []
