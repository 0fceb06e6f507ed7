"""Kubernetes clusters, as Airflow's Kubernetes provider connects to them."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowException

from refrain.compute.kubernetes.client import by_official_client, unusable
from refrain.compute.kubernetes.settings import Cluster


def kubernetes_client(cluster: Cluster) -> Any:
    """Return the client of the provider's hook, which is what its operators make their pods with.

    Where the provider is not installed, the official client connects, with Airflow's connection.

    :raises UserError: when the settings lead to no cluster.
    """
    try:
        from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
    except ImportError:
        return by_official_client(cluster)
    from kubernetes.config import ConfigException

    hook = KubernetesHook(
        conn_id=cluster.conn_id or None,
        kubernetes_conn_id=None,  # else kubernetes_default would add to what the target says
        config_file=cluster.config_file or None,
        cluster_context=cluster.context or None,
        in_cluster=cluster.in_cluster or None,
    )
    try:
        return hook.get_conn()
    except (AirflowException, ConfigException, OSError) as error:
        raise unusable(cluster, error) from error
