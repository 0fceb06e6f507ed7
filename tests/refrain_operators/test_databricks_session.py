"""A pipeline on Databricks through Airflow's own life of a task: deferred, resumed, reused."""

from __future__ import annotations

import pytest

from fakes.dag_session import run_twice
from fakes.databricks import DatabricksProject, databricks, server

__all__ = ["databricks", "server"]

CODE = """
    import sys, time
    time.sleep(3)
    open(sys.argv[sys.argv.index("-out") + 1].removeprefix("file:"), "w").write("data")
    print("written")
"""
DAG = """
# a DAG for airflow, which looks for these words
from refrain import DatabricksStep, Pipeline, PipelineData, Workspace
from refrain_operators import pipeline_dag

step = DatabricksStep(
    "work",
    python_script_name="work.py",
    source_directory={source!r},
    outputs=[PipelineData("out")],
    compute_target="databricks",
)
dag = pipeline_dag(Pipeline(Workspace(), [step], name="on_databricks"))
"""


@pytest.mark.timeout(400)
def test_a_step_is_deferred_goes_on_as_the_same_step_run_and_is_reused(databricks: DatabricksProject) -> None:
    dag = DAG.format(source=str(databricks.source("work", CODE)))
    (first, second), said = run_twice(databricks.folder / "airflow", dag, databricks.workspace.root)
    assert first["states"] == {"plan": "success", "work": "success"}, said[-6000:]
    assert len(first["steps"]) == 1, first["steps"]
    (made,) = first["steps"]
    assert (made["status"], made["reused_from"]) == ("Completed", None)
    assert first["links"]["work"].startswith(f"{databricks.server.url}/?o=1#job/")
    assert "DatabricksRunTrigger" in said
    assert second["states"]["work"] == "skipped"
    assert second["steps"][0]["reused_from"] == made["run_id"]
    assert databricks.submissions() == 1
