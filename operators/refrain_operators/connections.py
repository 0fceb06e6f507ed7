"""Connections: credentials of datastores, as Airflow keeps them."""

from __future__ import annotations

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from refrain.storage.connections import Connection


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
