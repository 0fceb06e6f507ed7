"""Two steps on a compute target, as a DAG in a process that has Airflow."""

from __future__ import annotations

import os
import subprocess
import sys

from fakes.project import COPIES, Project

_DAG = """
from refrain import Pipeline, PipelineData, PythonScriptStep, Workspace
from refrain_operators import pipeline_dag

made, copied = PipelineData("made"), PipelineData("copied")
write = PythonScriptStep("write.py", name="write", arguments=[made, "from Airflow"], outputs=[made],
    source_directory={write!r}, compute_target="box")
copy = PythonScriptStep("copy.py", name="copy", arguments=[made, copied], inputs=[made], outputs=[copied],
    source_directory={copy!r}, compute_target="box")
dag = pipeline_dag(Pipeline(Workspace({workspace!r}), [copy], name="two"))
"""
_SESSION = """
import sys
from airflow.dag_processing.dagbag import DagBag
from airflow.utils.db import initdb
initdb()
bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
done = bag.dags["two"].test()
print("states", *sorted(f"{task.task_id}={task.state}" for task in done.get_task_instances()))
"""


def two_steps_on_airflow(project: Project, code: str, **variables: str) -> list[str]:
    """Run a step with some code, and one that copies, on the target ``box``; return the texts that were copied.

    :param variables: for Airflow's process.
    """
    folders = {"write": project.source("write", code), "copy": project.source("copy", COPIES)}
    text = _DAG.format(workspace=project.workspace.root, **{name: str(path) for name, path in folders.items()})
    home = project.folder / "airflow"
    (home / "dags").mkdir(parents=True)
    (home / "dags" / "two.py").write_text(text)
    settings = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}

    said = subprocess.run(
        [sys.executable, "-c", _SESSION, str(home / "dags")],
        env={**os.environ, **settings, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.splitlines()[-1] == "states copy=success plan=success write=success", said.stdout + said.stderr
    store = project.state.datastores.get("workspaceblobstore").root
    return [path.read_text() for path in store.rglob("copied") if path.is_file()]
