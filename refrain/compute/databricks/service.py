"""Databricks: what is asked of a Databricks workspace: runs, clusters, files and code."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refrain.compute.databricks.channel import Channel
from refrain.compute.databricks.run import DatabricksRun
from refrain.errors import DatabricksError, DatabricksRefusedError, UserError
from refrain.storage.digest import digest_bytes

DBFS = "dbfs:/"
_BLOCK = 1024 * 1024  # the most that DBFS takes in one request
_MOST_OF_A_WORKSPACE_FILE = 10 * 1024 * 1024
_IS_MISSING = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")


class Databricks:
    """A Databricks workspace. Paths on DBFS begin with ``dbfs:/``, those of workspace files with ``/``."""

    def __init__(self, channel: Channel) -> None:
        """Ask by *channel*."""
        self._call = channel.call
        self.host = channel.host

    def submit(self, request: Mapping[str, Any]) -> int:
        """Submit a run and return its id; the same idempotency token always leads to the same run."""
        return int(self._call("POST", "2.2/jobs/runs/submit", request)["run_id"])

    def run(self, run_id: int) -> DatabricksRun:
        """Say how far a run is."""
        return DatabricksRun.of(self._call("GET", "2.2/jobs/runs/get", {"run_id": run_id}))

    def find_run(self, run_id: int) -> DatabricksRun | None:
        """Say how far a run is; None when Databricks does not know it any more."""
        try:
            return self.run(run_id)
        except DatabricksRefusedError as error:
            if error.status == 404 or (error.status == 400 and "does not exist" in str(error)):
                return None
            raise

    def output(self, run: DatabricksRun) -> dict[str, Any]:
        """Return what the run's task has left: its log, a notebook's result, the error."""
        return self._call("GET", "2.2/jobs/runs/get-output", {"run_id": run.task_run_id})

    def cancel(self, run_id: int) -> None:
        """Ask Databricks to end a run; nothing happens when it is over."""
        self._call("POST", "2.2/jobs/runs/cancel", {"run_id": run_id})

    def cluster_state(self, cluster_id: str) -> str:
        """Return the state of a cluster, in Databricks' words."""
        return str(self._call("GET", "2.1/clusters/get", {"cluster_id": cluster_id}).get("state", ""))

    def spark_versions(self) -> list[str]:
        """Return the Spark versions for which clusters can be made; any user may ask."""
        return [str(item["key"]) for item in self._call("GET", "2.1/clusters/spark-versions", {}).get("versions", [])]

    def exists(self, path: str) -> bool:
        """Say whether a file or a folder is there."""
        try:
            self._status(path)
        except DatabricksRefusedError as error:
            if error.status == 404 or error.code in _IS_MISSING:
                return False
            raise
        return True

    def code_digest(self, path: str) -> str:
        """Return the identity of a notebook, script or JAR: the digest of a notebook's source, the state of a file.

        What it imports or runs in its turn is not seen.

        :raises DatabricksRefusedError: when there is none.
        """
        if path.startswith(DBFS):
            found = self._status(path)
            return digest_bytes(f"dbfs {found.get('file_size')} {found.get('modification_time')}".encode())
        query = {"path": path, "format": "SOURCE"}
        return digest_bytes(base64.b64decode(self._call("GET", "2.0/workspace/export", query)["content"]))

    def upload(self, source: Path, path: str) -> None:
        """Store a local file, replacing what is there.

        :raises UserError: when it is too large for a workspace file.
        :raises DatabricksError: when it has not arrived whole.
        """
        if path.startswith(DBFS):
            self._upload_to_dbfs(source, path)
            return
        if source.stat().st_size > _MOST_OF_A_WORKSPACE_FILE:
            raise UserError(
                f"{source.name!r} is too large for a workspace file of Databricks, which holds 10 MB. Let the compute "
                "target upload to DBFS, with upload_path=dbfs:/refrain, or keep the file out with an .amlignore."
            )
        self._call("POST", "2.0/workspace/mkdirs", {"path": path.rpartition("/")[0]})
        request = {"path": path, "format": "AUTO", "overwrite": True, "content": _text(source.read_bytes())}
        self._call("POST", "2.0/workspace/import", request)

    def delete(self, path: str) -> None:
        """Delete a file or a folder with all that is in it."""
        kind = "dbfs" if path.startswith(DBFS) else "workspace"
        self._call("POST", f"2.0/{kind}/delete", {"path": path.removeprefix("dbfs:"), "recursive": True})

    def _status(self, path: str) -> dict[str, Any]:
        kind = "dbfs" if path.startswith(DBFS) else "workspace"
        return self._call("GET", f"2.0/{kind}/get-status", {"path": path.removeprefix("dbfs:")})

    def _upload_to_dbfs(self, source: Path, path: str) -> None:
        size, there = source.stat().st_size, path.removeprefix("dbfs:")
        if size <= _BLOCK:
            self._call(
                "POST", "2.0/dbfs/put", {"path": there, "overwrite": True, "contents": _text(source.read_bytes())}
            )
            return
        handle = self._call("POST", "2.0/dbfs/create", {"path": there, "overwrite": True})["handle"]
        with source.open("rb") as file:
            while block := file.read(_BLOCK):
                self._call("POST", "2.0/dbfs/add-block", {"handle": handle, "data": _text(block)})
        self._call("POST", "2.0/dbfs/close", {"handle": handle})
        arrived = self._status(path).get("file_size")
        if arrived != size:  # a block whose answer was lost is sent again, and would be there twice
            raise DatabricksError(
                f"{source.name!r} did not arrive whole at {path}: {arrived} of {size} bytes. Run again."
            )


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
