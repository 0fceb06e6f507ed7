"""Kubernetes clusters by the provider's hook."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.kubernetes_api import KubernetesApi, kubernetes_api
from fakes.project import Project
from fakes.two_steps import two_steps_on_airflow
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


@pytest.mark.slow
def test_a_dag_s_steps_run_in_pods(api: KubernetesApi, tmp_path: Path) -> None:
    project = Project(tmp_path)
    settings = api.settings(tmp_path, python=sys.executable, config_file="", conn_id="prod")
    TargetTable(project.state.registry).put(Target("box", "kubernetes", settings))
    code = "import sys\nopen(sys.argv[1], 'w').write(sys.argv[2])"
    extra = {"kube_config": Path(api.config_file).read_text()}
    connection = json.dumps({"conn_type": "kubernetes", "extra": extra})

    copied = two_steps_on_airflow(project, code, AIRFLOW_CONN_PROD=connection)

    assert copied == ["from Airflow"]
    assert len(api.made) == 2
