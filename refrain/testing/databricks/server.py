"""DatabricksServer: the REST API of a Databricks workspace, on a port of this machine."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from refrain.testing.databricks.clusters import Clusters
from refrain.testing.databricks.faults import Faults
from refrain.testing.databricks.files import Files
from refrain.testing.databricks.refusal import Refusal
from refrain.testing.databricks.runs import Runs

_DISCOVERY = "/.well-known/databricks-config"
_Json = dict[str, Any]
_Handler = Callable[[_Json], _Json]


class DatabricksServer:
    """One workspace: what it has, and what was asked of it.

    :ivar token: what requests must bear; another one makes the old one an expired one.
    :ivar requests: every request that came, as ``POST jobs/runs/submit``.
    :ivar scopes: the secrets, by scope and name, for notebooks.
    """

    def __init__(self, folder: Path) -> None:
        """Keep everything below *folder*; nothing is served yet."""
        self.url = ""
        self.token = "token-of-the-test-server"  # noqa: S105  # guards nothing
        self.requests: list[str] = []
        self.scopes: dict[str, dict[str, str]] = {}
        self.faults = Faults()
        self.files = Files(folder)
        self.clusters = Clusters()
        self.runs = Runs(folder / "runs", self.files, self.clusters, self.scopes)
        self.cluster_id = self.clusters.make({"cluster_name": "shared", "spark_version": "10.4.x-scala2.12"})
        self._handlers = self._table()

    def connection(self) -> str:
        """Return Airflow's connection to the server, as JSON for ``AIRFLOW_CONN_<ID>``."""
        parts = urlsplit(self.url)
        document = {"conn_type": "databricks", "host": parts.hostname, "port": parts.port, "schema": "http"}
        return json.dumps({**document, "password": self.token})

    def answer(self, method: str, path: str, request: _Json, token: str) -> _Json:
        """Carry out a request, and return the answer.

        :raises Refusal: when it is refused.
        """
        if path == _DISCOVERY:  # what clients ask first, without credentials
            return {"oidc_endpoint": f"{self.url}/oidc", "host_type": "workspace"}
        name = path.removeprefix("/api/").partition("/")[2]
        self.requests.append(f"{method} {name}")
        if token != self.token:
            raise Refusal(403, "403", "Invalid access token.")
        handler = self._handlers.get(f"{method} {name}")
        if handler is None:
            raise Refusal(404, "ENDPOINT_NOT_FOUND", f"No API found for '{method} {path}'")
        try:
            return handler(request)
        except KeyError as error:
            raise Refusal(400, "INVALID_PARAMETER_VALUE", f"Missing required field: {error.args[0]}") from error

    def _table(self) -> dict[str, _Handler]:
        runs, clusters, files = self.runs, self.clusters, self.files
        return {
            "POST jobs/runs/submit": runs.submit,
            "GET jobs/runs/get": runs.get,
            "GET jobs/runs/get-output": runs.output,
            "GET jobs/runs/list": runs.list,
            "POST jobs/runs/cancel": runs.cancel,
            "POST jobs/runs/delete": runs.delete,
            "GET clusters/get": clusters.get,
            "GET clusters/list": clusters.list,
            "POST clusters/start": clusters.start,
            "POST clusters/delete": clusters.terminate,
            "GET clusters/spark-versions": clusters.spark_versions,
            "POST dbfs/put": files.dbfs_put,
            "POST dbfs/create": files.dbfs_create,
            "POST dbfs/add-block": files.dbfs_add_block,
            "POST dbfs/close": files.dbfs_close,
            "GET dbfs/get-status": files.dbfs_status,
            "GET dbfs/list": files.dbfs_list,
            "GET dbfs/read": files.dbfs_read,
            "POST dbfs/mkdirs": files.dbfs_mkdirs,
            "POST dbfs/delete": files.dbfs_delete,
            "POST workspace/import": files.import_,
            "GET workspace/export": files.export,
            "GET workspace/get-status": files.workspace_status,
            "POST workspace/mkdirs": files.workspace_mkdirs,
            "POST workspace/delete": files.workspace_delete,
        }


@contextmanager
def databricks_server(folder: Path, port: int = 0) -> Iterator[DatabricksServer]:
    """Serve a workspace until the block ends, which ends all that runs there.

    :param port: 0 takes a free one.
    """
    server = DatabricksServer(folder.absolute())
    handler = type("Handler", (_RequestHandler,), {"served": server})
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.url = server.runs.page = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.runs.stop()
        listening.shutdown()
        thread.join()
        listening.server_close()


class _RequestHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: DatabricksServer

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        sent = json.loads(self._body() or b"{}")  # where Airflow's triggers put what others put into the query
        self._serve("GET", {**dict(parse_qsl(urlsplit(self.path).query)), **sent})

    def do_POST(self) -> None:
        self._serve("POST", json.loads(self._body() or b"{}"))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _serve(self, method: str, request: _Json) -> None:
        path = urlsplit(self.path).path
        fault = self.served.faults.take(path)
        try:
            if fault is not None and fault.status is not None:
                raise Refusal(fault.status, fault.code, fault.message)
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            answer, status = self.served.answer(method, path, request, token), 200
        except Refusal as refusal:
            answer, status = {"error_code": refusal.code, "message": refusal.message}, refusal.status
        if fault is not None and fault.status is None:
            self.close_connection = True  # without a word
            return
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
