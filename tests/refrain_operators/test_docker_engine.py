"""Docker engines by the provider's hook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.docker_engine import DockerEngine
from fakes.project import Project
from fakes.two_steps import two_steps_on_airflow
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


@pytest.mark.slow
def test_a_dag_s_steps_run_in_containers(engine: DockerEngine, tmp_path: Path) -> None:
    project = Project(tmp_path)
    engine.target(project.state)
    code = "import os, sys\nopen(sys.argv[1], 'w').write(f'{sys.argv[2]} {os.getpid() < 100}')"

    copied = two_steps_on_airflow(project, code)

    assert copied == ["from Airflow True"]
    assert engine.containers() == []
