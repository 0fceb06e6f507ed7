"""Docker engines by the provider's hook."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.docker_engine import DockerEngine
from fakes.project import COPIES, Project
from refrain.compute.docker.client import connect, set_connect
from refrain.compute.docker.settings import Engine
from refrain.errors import ComputeError
from refrain_operators.docker_engine import docker_client

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with DockerEngine.start() as engine:
        yield engine


@pytest.fixture(autouse=True)
def by_airflow() -> Iterator[None]:
    from refrain.compute.docker.client import by_docker_py

    set_connect(docker_client)
    yield
    set_connect(by_docker_py)


def test_the_provider_s_hook_connects(engine: DockerEngine) -> None:
    client = connect(Engine(engine.address))
    assert client.inspect_image(engine.image)["Id"]
    client.close()


def test_a_connection_that_names_no_registry_is_told(engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_REGISTRY", "docker://ali:secret@/")
    with pytest.raises(ComputeError, match="No Docker Registry URL provided"):
        connect(Engine(engine.address, conn_id="registry"))


_DAG = """
from refrain import Pipeline, PipelineData, PythonScriptStep, Workspace
from refrain_operators import pipeline_dag

made, copied = PipelineData("made"), PipelineData("copied")
write = PythonScriptStep("write.py", name="write", arguments=[made, "from Airflow"], outputs=[made],
    source_directory={write!r}, compute_target="box")
copy = PythonScriptStep("copy.py", name="copy", arguments=[made, copied], inputs=[made], outputs=[copied],
    source_directory={copy!r}, compute_target="box")
dag = pipeline_dag(Pipeline(Workspace({workspace!r}), [copy], name="boxed"))
"""
_SESSION = """
import sys
from airflow.dag_processing.dagbag import DagBag
from airflow.utils.db import initdb
initdb()
bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
done = bag.dags["boxed"].test()
print("states", *sorted(f"{task.task_id}={task.state}" for task in done.get_task_instances()))
"""


@pytest.mark.slow
def test_a_dag_s_steps_run_in_containers(engine: DockerEngine, tmp_path: Path) -> None:
    project = Project(tmp_path)
    engine.target(project.state)
    code = "import os, sys\nopen(sys.argv[1], 'w').write(f'{sys.argv[2]} {os.getpid() < 100}')"
    folders = {"write": project.source("write", code), "copy": project.source("copy", COPIES)}
    text = _DAG.format(workspace=project.workspace.root, **{name: str(path) for name, path in folders.items()})
    dags = tmp_path / "airflow" / "dags"
    dags.mkdir(parents=True)
    (dags / "boxed.py").write_text(text)
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}

    said = subprocess.run(
        [sys.executable, "-c", _SESSION, str(dags)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.splitlines()[-1] == "states copy=success plan=success write=success"
    store = project.state.datastores.get("workspaceblobstore").root
    assert [path.read_text() for path in store.rglob("copied") if path.is_file()] == ["from Airflow True"]
    assert engine.containers() == []
