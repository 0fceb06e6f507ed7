"""Connections: credentials of datastores and compute targets, as Airflow keeps them."""

from __future__ import annotations

from importlib.util import find_spec

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from refrain.compute.databricks.channel import set_channel
from refrain.compute.docker.client import set_connect
from refrain.compute.kubernetes.client import set_connect as set_kubernetes_connect
from refrain.storage.connections import Connection, set_resolver
from refrain.storage.state import WorkspaceState
from refrain_operators.docker_engine import docker_client
from refrain_operators.kubernetes_cluster import kubernetes_client


def use_airflow() -> None:
    """Let this process find connections in Airflow, and reach services by the hooks of its official providers."""
    set_resolver(airflow_connection)
    set_connect(docker_client)
    set_kubernetes_connect(kubernetes_client)
    if has_databricks():
        set_channel("refrain_operators.databricks_channel:HookChannel")


def workspace_state(root: str) -> WorkspaceState:
    """Return what a process that Airflow did not give a step, such as the triggerer, needs of a workspace.

    :raises RefrainError: when it cannot be read from there.
    """
    use_airflow()
    return WorkspaceState(root)


def has_databricks() -> bool:
    """Say whether the official provider for Databricks is installed."""
    return find_spec("airflow.providers.databricks") is not None


def airflow_connection(conn_id: str) -> Connection | None:
    """Return a connection of Airflow: from its database, a secrets backend or the environment; None without one."""
    try:
        found = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None
    return Connection(
        conn_id,
        found.conn_type or "",
        found.host or "",
        found.login or "",
        found.password or "",
        found.port,
        found.extra_dejson,
        found.schema or "",
    )
