"""Kubernetes clusters by the provider's hook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.kubernetes_api import KubernetesApi, kubernetes_api
from fakes.project import COPIES, Project
from refrain.compute.kubernetes.client import by_official_client, connect, set_connect
from refrain.compute.kubernetes.settings import Cluster
from refrain.compute.target import Target, TargetTable
from refrain.errors import UserError
from refrain_operators.kubernetes_cluster import kubernetes_client

pytest.importorskip("airflow.providers.cncf.kubernetes", reason="the extra airflow-kubernetes is not installed")


@pytest.fixture
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesApi]:
    with kubernetes_api(tmp_path_factory.mktemp("api")) as api:
        yield api


@pytest.fixture(autouse=True)
def by_airflow() -> Iterator[None]:
    set_connect(kubernetes_client)
    yield
    set_connect(by_official_client)


def _version(cluster: Cluster) -> str:
    from kubernetes.client import VersionApi

    with connect(cluster) as client:
        return str(VersionApi(client).get_code().git_version)


def test_the_provider_s_hook_connects_by_the_settings_of_the_target(api: KubernetesApi) -> None:
    assert _version(Cluster(config_file=api.config_file, context="here")) == "v1.34.0"


def test_the_provider_s_hook_connects_by_a_connection(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"kube_config": Path(api.config_file).read_text()}
    monkeypatch.setenv("AIRFLOW_CONN_PROD", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    assert _version(Cluster(conn_id="prod")) == "v1.34.0"


def test_a_connection_that_leads_nowhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"kube_config_path": "/nowhere", "in_cluster": True}
    monkeypatch.setenv("AIRFLOW_CONN_PROD", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    with pytest.raises(UserError, match=r"Nothing says how to reach the cluster of the connection 'prod': .*exclusive"):
        connect(Cluster(conn_id="prod"))
    with pytest.raises(UserError, match="Nothing says how to reach the cluster of /nowhere: "):
        connect(Cluster(config_file="/nowhere"))


_DAG = """
from refrain import Pipeline, PipelineData, PythonScriptStep, Workspace
from refrain_operators import pipeline_dag

made, copied = PipelineData("made"), PipelineData("copied")
write = PythonScriptStep("write.py", name="write", arguments=[made, "from Airflow"], outputs=[made],
    source_directory={write!r}, compute_target="box")
copy = PythonScriptStep("copy.py", name="copy", arguments=[made, copied], inputs=[made], outputs=[copied],
    source_directory={copy!r}, compute_target="box")
dag = pipeline_dag(Pipeline(Workspace({workspace!r}), [copy], name="podded"))
"""
_SESSION = """
import sys
from airflow.dag_processing.dagbag import DagBag
from airflow.utils.db import initdb
initdb()
bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
done = bag.dags["podded"].test()
print("states", *sorted(f"{task.task_id}={task.state}" for task in done.get_task_instances()))
"""


@pytest.mark.slow
def test_a_dag_s_steps_run_in_pods(api: KubernetesApi, tmp_path: Path) -> None:
    project = Project(tmp_path)
    settings = api.settings(tmp_path, python=sys.executable, config_file="", conn_id="prod")
    TargetTable(project.state.registry).put(Target("box", "kubernetes", settings))
    code = "import sys\nopen(sys.argv[1], 'w').write(sys.argv[2])"
    folders = {"write": project.source("write", code), "copy": project.source("copy", COPIES)}
    text = _DAG.format(workspace=project.workspace.root, **{name: str(path) for name, path in folders.items()})
    dags = tmp_path / "airflow" / "dags"
    dags.mkdir(parents=True)
    (dags / "podded.py").write_text(text)
    extra = {"kube_config": Path(api.config_file).read_text()}
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_PROD": json.dumps({"conn_type": "kubernetes", "extra": extra}),
    }

    said = subprocess.run(
        [sys.executable, "-c", _SESSION, str(dags)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.splitlines()[-1] == "states copy=success plan=success write=success"
    store = project.state.datastores.get("workspaceblobstore").root
    assert [path.read_text() for path in store.rglob("copied") if path.is_file()] == ["from Airflow"]
    assert len(api.made) == 2
