"""Clusters: those that are there, and those that are made for one run. All of them are this machine."""

from __future__ import annotations

import itertools
import secrets
import threading
from collections.abc import Callable
from typing import Any

from refrain.testing.databricks.refusal import invalid

_SPARK_VERSIONS = ("10.4.x-scala2.12", "13.3.x-scala2.12", "15.4.x-scala2.12")
_Json = dict[str, Any]


class Clusters:
    """The clusters of the workspace, by id."""

    def __init__(self) -> None:
        self._clusters: dict[str, _Json] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self.on_terminated: Callable[[str], None] = lambda _: None

    def make(self, settings: _Json, source: str = "UI") -> str:
        """Make a cluster that runs, and return its id."""
        cluster_id = f"{next(self._numbers):04}-000000-{secrets.token_hex(4)}"
        with self._lock:
            self._clusters[cluster_id] = {
                **settings,
                "cluster_id": cluster_id,
                "cluster_source": source,
                "state": "RUNNING",
                "state_message": "",
            }
        return cluster_id

    def for_task(self, task: _Json) -> str:
        """Return the cluster of a task: the existing one, which is started if need be, or a new one."""
        if "existing_cluster_id" in task:
            cluster_id = str(task["existing_cluster_id"])
            self.start({"cluster_id": cluster_id})
            return cluster_id
        return self.make(task["new_cluster"], "JOB")

    def check(self, task: _Json) -> None:
        """Refuse a task without a cluster, or with one that cannot be."""
        if ("existing_cluster_id" in task) == ("new_cluster" in task):
            raise invalid("A task must have one of existing_cluster_id and new_cluster.")
        if "existing_cluster_id" in task:
            self._found(str(task["existing_cluster_id"]))
            return
        new = task["new_cluster"]
        if new.get("spark_version") not in _SPARK_VERSIONS:
            raise invalid(f"Invalid spark version {new.get('spark_version')}.")
        if not new.get("node_type_id") and not new.get("instance_pool_id"):
            raise invalid("Missing required field: node_type_id or instance_pool_id.")
        if "num_workers" not in new and "autoscale" not in new:
            raise invalid("Missing required field: num_workers or autoscale.")

    def get(self, request: _Json) -> _Json:
        """``clusters/get``."""
        return dict(self._found(str(request["cluster_id"])))

    def list(self, request: _Json) -> _Json:  # noqa: ARG002  # all handlers take one
        """``clusters/list``."""
        with self._lock:
            return {"clusters": [dict(cluster) for cluster in self._clusters.values()]}

    def start(self, request: _Json) -> _Json:
        """``clusters/start``."""
        self._found(str(request["cluster_id"]))["state"] = "RUNNING"
        return {}

    def terminate(self, request: _Json) -> _Json:
        """``clusters/delete``, which terminates; what runs there is lost."""
        cluster_id = str(request["cluster_id"])
        self._found(cluster_id)["state"] = "TERMINATED"
        self.on_terminated(cluster_id)
        return {}

    def spark_versions(self, request: _Json) -> _Json:  # noqa: ARG002  # all handlers take one
        """``clusters/spark-versions``."""
        return {"versions": [{"key": key, "name": key} for key in _SPARK_VERSIONS]}

    def _found(self, cluster_id: str) -> _Json:
        with self._lock:
            if cluster_id not in self._clusters:
                raise invalid(f"Cluster {cluster_id} does not exist")
            return self._clusters[cluster_id]
