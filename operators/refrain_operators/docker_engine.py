"""Docker engines, as Airflow's Docker provider connects to them."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowException

from refrain.compute.docker.client import by_docker_py, tls
from refrain.compute.docker.settings import Engine
from refrain.errors import ComputeError


def docker_client(engine: Engine) -> Any:
    """Return the client of the provider's hook, which logs in to the registry of the target's connection.

    Where the provider is not installed, docker-py does, with Airflow's connection.

    :raises ComputeError: when the engine does not answer, or the connection names no registry or no user.
    """
    try:
        from airflow.providers.docker.hooks.docker import DockerHook
    except ImportError:
        return by_docker_py(engine)
    hook = DockerHook(docker_conn_id=engine.conn_id or None, base_url=str(engine), version="auto", tls=tls(engine))
    try:
        return hook.api_client
    except AirflowException as error:
        raise ComputeError(f"The Docker engine at {engine}: {error}") from error
