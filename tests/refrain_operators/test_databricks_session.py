"""A pipeline on Databricks through Airflow's own life of a task: deferred, resumed, reused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    report, home = databricks.folder / "report.json", databricks.folder / "airflow"
    (home / "dags").mkdir(parents=True)
    source = str(databricks.source("work", CODE))
    (home / "dags" / "on_databricks.py").write_text(DAG.format(source=source), encoding="utf-8")
    settings = {"REFRAIN_WORKSPACE": databricks.workspace.root, "AIRFLOW_HOME": str(home)}
    program = str(Path(__file__).with_name("databricks_session.py"))
    done = subprocess.run(
        [sys.executable, program, str(home / "dags"), str(report)],
        env={**os.environ, **settings, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-6000:]
    first, second = json.loads(report.read_text(encoding="utf-8"))
    assert first["states"] == {"plan": "success", "work": "success"}, said[-6000:]
    assert len(first["steps"]) == 1, first["steps"]
    (made,) = first["steps"]
    assert (made["status"], made["reused_from"]) == ("Completed", None)
    assert first["link"].startswith(f"{databricks.server.url}/?o=1#job/")
    assert "DatabricksRunTrigger" in said
    assert second["states"]["work"] == "skipped"
    assert second["steps"][0]["reused_from"] == made["run_id"]
    assert databricks.submissions() == 1
