"""The connection to a Kubernetes cluster, by its official client, and what is said when there is none."""

from __future__ import annotations

import contextlib
import json
import math
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from refrain.compute.kubernetes.manifest import LABEL, label_of, name_of
from refrain.compute.kubernetes.settings import Cluster
from refrain.errors import ComputeError, UserError
from refrain.storage.connections import connection

SECONDS = (10, 60)
"""How long to wait for a connection, and for a part of an answer."""

_PATIENCE_SECONDS = 60.0
_PAUSE = 1.0
_GLANCE = 0.2
_NOT_FOUND = 404
_REFUSED = (401, 403)
_OF_ROLES = " cannot "
"""In what a server says of a user who may not; it refuses pods themselves with the same number."""

_PASSING = (429, 500, 502, 503, 504)
"""What a server answers that is being restarted, or has much to do."""


def connect(cluster: Cluster) -> Any:
    """Return a client of a cluster: the official client's ``ApiClient``; nothing is sent.

    :raises UserError: when the package ``kubernetes`` is not installed, or the settings lead to no cluster.
    :raises UnknownNameError: when there is no such connection.
    """
    try:
        import kubernetes  # noqa: F401  # so that its lack has one message
    except ImportError as error:
        raise UserError(
            "Pods need the package 'kubernetes': pip install 'refrain[kubernetes]' (on Airflow: "
            "'refrain[airflow-kubernetes]')."
        ) from error
    return _connect[0](cluster)


def by_official_client(cluster: Cluster) -> Any:
    """Connect with nothing but the official client."""
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config import ConfigException, load_incluster_config, load_kube_config, load_kube_config_from_dict

    configuration = Configuration()
    configuration.socket_options = _keep_alive()
    extra = _extra(cluster.conn_id) if cluster.conn_id else {}
    context = cluster.context or extra.get("cluster_context") or None
    try:
        if cluster.in_cluster or extra.get("in_cluster"):
            load_incluster_config(client_configuration=configuration)
        elif extra.get("kube_config"):
            load_kube_config_from_dict(_document(cluster, extra["kube_config"]), context, configuration)
        else:
            file = cluster.config_file or extra.get("kube_config_path") or None
            load_kube_config(file, context, configuration, persist_config=False)
    except (ConfigException, OSError) as error:
        raise unusable(cluster, error) from error
    return ApiClient(configuration)


def _keep_alive() -> list[tuple[int, int, int]]:
    """Return the options by which a connection that was lost is noticed, although a quiet step says nothing on it."""
    tcp = [("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)]
    seconds = [(socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in tcp if hasattr(socket, name)]
    return [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *seconds]


def unusable(cluster: Cluster, error: object) -> UserError:
    """Return the error for settings that lead to no cluster."""
    return UserError(
        f"Nothing says how to reach {cluster}: {str(error).strip().rstrip('.')}. Set config_file and context, conn_id "
        "or in_cluster of the compute target (refrain compute set)."
    )


_connect: list[Callable[[Cluster], Any]] = [by_official_client]


def set_connect(function: Callable[[Cluster], Any]) -> None:
    """Let *function* make the clients from now on, in this process."""
    _connect[0] = function


@contextmanager
def answering(cluster: Cluster) -> Iterator[None]:
    """Turn what the official client raises into our errors.

    :raises ComputeError: when the cluster does not answer, or refuses.
    """
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        raise _refused(cluster, error) from error
    except (HTTPError, OSError) as error:
        raise ComputeError(
            f"The API server of {cluster} does not answer: {_reason(error)}. Look at it with kubectl, or name another "
            "cluster with the target's settings (refrain compute set)."
        ) from error


def patiently(cluster: Cluster, ask: Callable[..., Any], **options: Any) -> Any:
    """Ask a cluster again for a minute while its API server is away: steps go on meanwhile.

    It raises as :func:`answering`.
    """
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    deadline = time.monotonic() + _PATIENCE_SECONDS
    with answering(cluster):
        while True:
            try:
                return ask(**{"_request_timeout": SECONDS, **options})
            except (ApiException, HTTPError, OSError) as error:
                is_passing = not isinstance(error, ApiException) or error.status in _PASSING
                if not is_passing or time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE)


@contextmanager
def unless_gone() -> Iterator[None]:
    """Leave the block in silence when what it asks for is not there."""
    from kubernetes.client import ApiException

    try:
        yield
    except ApiException as error:
        if error.status != _NOT_FOUND:
            raise


def refusal(error: Any) -> str:
    """Return the reason that an API server gives, without a full stop."""
    said = ""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        said = json.loads(error.body).get("message") or ""
    return str(said or error.reason or error).strip().rstrip(".")


def in_silence(ask: Callable[..., Any], *arguments: Any) -> None:
    """Ask what is answered with a Secret: the official client would log the answer, where all is logged."""
    ask(*arguments, _preload_content=False, _request_timeout=SECONDS).close()


def remove_run(client: Any, namespace: str, run_id: str, grace_seconds: float = 0) -> None:
    """Ask for the end of a step run's pod, and delete its Secret.

    :param grace_seconds: how long its process may take to end by itself.
    """
    from kubernetes.client import CoreV1Api

    api = CoreV1Api(client)
    # Never 0: that takes a pod off the list at once, while its process may go on.
    grace = max(1, math.ceil(grace_seconds))
    for name in _pods(api, namespace, run_id):
        with unless_gone():
            api.delete_namespaced_pod(name, namespace, grace_period_seconds=grace, _request_timeout=SECONDS)
    with unless_gone():
        in_silence(api.delete_namespaced_secret, name_of(run_id), namespace)


def await_gone(client: Any, namespace: str, run_id: str, seconds: float = _PATIENCE_SECONDS) -> None:
    """Wait until a step run has no pod any more, so that nothing writes to its outputs.

    :raises ComputeError: when that takes too long, as when the pod's node is lost.
    """
    from kubernetes.client import CoreV1Api

    api, deadline = CoreV1Api(client), time.monotonic() + seconds
    while left := _pods(api, namespace, run_id):
        if time.monotonic() > deadline:
            raise ComputeError(
                f"The pod {left[0]} of namespace {namespace!r} does not end. If its node is lost for good, delete it: "
                f"kubectl delete pod {left[0]} --namespace {namespace} --force"
            )
        time.sleep(_GLANCE)


def _pods(api: Any, namespace: str, run_id: str) -> list[str]:
    which = f"{LABEL}={label_of(run_id)}"
    found = api.list_namespaced_pod(namespace, label_selector=which, _request_timeout=SECONDS)
    return [pod.metadata.name for pod in found.items]


def _refused(cluster: Cluster, error: Any) -> ComputeError:
    said = refusal(error)
    if error.status in _REFUSED and _OF_ROLES in said:
        return ComputeError(
            f"The API server of {cluster} does not allow it: {said}. Steps need a role that may create, get, list "
            "and delete pods, get pods/log, and create and delete secrets, in the namespace."
        )
    return ComputeError(f"The API server of {cluster} refuses: {said}.")


def _reason(error: BaseException) -> str:
    """Return what the system said, below what libraries made of it."""
    return str(getattr(error, "reason", None) or error).rpartition(": ")[2].rstrip(".")


def _extra(conn_id: str) -> dict[str, Any]:
    """Return what a connection says, without the prefix that Airflow's form gives to its fields."""
    extra: Mapping[str, Any] = connection(conn_id).extra
    return {name.rpartition("__")[2]: value for name, value in extra.items()}


def _document(cluster: Cluster, written: Any) -> dict[str, Any]:
    try:
        document = json.loads(written) if isinstance(written, str) else dict(written)
    except ValueError:
        raise unusable(cluster, "its kube_config is no JSON") from None
    return dict(document)
