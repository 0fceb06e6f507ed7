"""A Kubernetes API of a few endpoints on a free port, whose pods are processes of this machine.

What it takes is held against the official client's models: a field that they do not have is refused, and so is a value
of another type. It has no nodes, images and volumes: a process sees this machine's files, whatever the pod mounts, and
tests of mounts look at the pod. What a kubelet does to commands and variables it does as well.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fakes.web_server import serving

IMAGE = "registry.example/python@sha256:" + "0" * 64
_NOW = "2026-01-01T00:00:00Z"
_VERSION = ("buildDate", "compiler", "gitCommit", "gitTreeState", "goVersion", "major", "minor", "platform")
_POD = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/pods(?:/(?P<name>[^/]+))?(?P<log>/log)?")
_SECRET = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/secrets(?:/(?P<name>[^/]+))?")
_CLAIM = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/persistentvolumeclaims/(?P<name>[^/]+)")
_REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))")


class Refused(Exception):
    """The API refuses."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass
class Pod:
    """A pod and its process."""

    manifest: dict[str, Any]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    waiting: dict[str, str] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)  # rules over what the process tells
    terminated: dict[str, Any] = field(default_factory=dict)
    sent: int = 0  # bytes of the log, when its connection was broken

    def described(self) -> dict[str, Any]:
        return {**self.manifest, "status": self._status() | self.status}

    def _status(self) -> dict[str, Any]:
        if self.process is None:
            state, phase = {"waiting": self.waiting}, "Pending"
        elif (code := self.process.poll()) is None:
            state, phase = {"running": {"startedAt": _NOW}}, "Running"
        else:
            exit_code = code if code >= 0 else 128 - code
            ended = {"exitCode": exit_code, "reason": "Error" if code else "Completed", **self.terminated}
            state, phase = {"terminated": ended}, "Failed" if code else "Succeeded"
        one = {"name": "step", "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        return {"phase": phase, "containerStatuses": [one] if state.get("waiting") != {} else []}


@dataclass
class KubernetesApi:
    """The API, what it has, and how it is to behave.

    :param claims: the claims that there are.
    :param denied: what this user may not, as ``create pods``.
    :param rule: why it refuses every pod; empty for none.
    :param outages: how many of the next questions about a pod the server fails to answer.
    :param breaks: after how many bytes the connection of a log is cut, once for each number.
    """

    folder: Path
    url: str = ""
    pods: dict[str, Pod] = field(default_factory=dict)
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: list[dict[str, Any]] = field(default_factory=list)  # all pods that ever were
    made_secrets: list[dict[str, Any]] = field(default_factory=list)
    graces: list[int] = field(default_factory=list)
    claims: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    rule: str = ""
    waiting: dict[str, str] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    terminated: dict[str, Any] = field(default_factory=dict)
    outages: int = 0
    breaks: list[int] = field(default_factory=list)

    @property
    def config_file(self) -> str:
        """A file that leads here."""
        path = self.folder / "kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": {"token": "t0ken"}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        }
        path.write_text(json.dumps(document))
        return str(path)

    def settings(self, *paths: Path, **more: Any) -> dict[str, Any]:
        """Return the settings of a target whose claims are at some paths."""
        claims = [{"claim": f"claim-{n}", "path": str(path)} for n, path in enumerate(paths)]
        self.claims |= {claim["claim"] for claim in claims}
        return {"image": IMAGE, "config_file": self.config_file, "claims": claims, **more}

    def create_pod(self, manifest: dict[str, Any], namespace: str) -> dict[str, Any]:
        require_valid(manifest, "V1Pod")
        if self.rule:
            raise Refused(403, self.rule)
        name = _name(manifest, namespace)
        if name in self.pods:
            raise Refused(409, f'pods "{name}" already exists')
        self.made.append(manifest)
        pod = Pod(manifest, self.folder / f"{name}.log", waiting=self.waiting, status=self.status)
        pod.terminated = self.terminated
        pod.log.touch()
        if not self.waiting and not self.status:
            self._start(pod)
        self.pods[name] = pod
        return pod.described()

    def create_secret(self, manifest: dict[str, Any], namespace: str) -> dict[str, Any]:
        require_valid(manifest, "V1Secret")
        self.secrets[_name(manifest, namespace)] = manifest
        self.made_secrets.append(manifest)
        return manifest

    def pod(self, name: str) -> Pod:
        if self.outages:
            self.outages -= 1
            raise Refused(503, "the server is currently unable to handle the request")
        if name not in self.pods:
            raise Refused(404, f'pods "{name}" not found')
        return self.pods[name]

    def delete_pod(self, name: str, grace: int) -> dict[str, Any]:
        pod = self.pod(name)
        self.graces.append(grace)
        threading.Thread(target=self._end, args=(name, pod, grace), daemon=True).start()
        return pod.described()

    def delete_secret(self, name: str) -> dict[str, Any]:
        if self.secrets.pop(name, None) is None:
            raise Refused(404, f'secrets "{name}" not found')
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def _start(self, pod: Pod) -> None:
        container = pod.manifest["spec"]["containers"][0]
        variables: dict[str, str] = {}
        for variable in container["env"]:
            variables[variable["name"]] = self._value(variable, variables)
        argv = [_expanded(word, variables) for word in container["command"]]
        with pod.log.open("ab") as log:
            try:
                pod.process = subprocess.Popen(
                    argv, cwd=container["workingDir"], env=variables, stdin=subprocess.DEVNULL,
                    stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                said = f'failed to create: exec: "{argv[0]}": executable file not found in $PATH: {error.strerror}'
                pod.waiting = {"reason": "RunContainerError", "message": said}

    def _value(self, variable: dict[str, Any], before: dict[str, str]) -> str:
        if "value" in variable:
            return _expanded(variable["value"], before)
        reference = variable["valueFrom"]["secretKeyRef"]
        return base64.b64decode(self.secrets[reference["name"]]["data"][reference["key"]]).decode()

    def _end(self, name: str, pod: Pod, grace: int) -> None:
        if pod.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pod.process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                pod.process.wait(grace)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pod.process.pid, signal.SIGKILL)
            pod.process.wait()
        self.pods.pop(name, None)

    def close(self) -> None:
        for name, pod in list(self.pods.items()):
            self._end(name, pod, 0)


def require_valid(document: dict[str, Any], model: str) -> None:
    """Refuse what the official client's model of it does not take, or takes and would not send again as it was.

    :raises Refused: as the API with strict validation.
    """
    from kubernetes.client import ApiClient

    class Answer:
        data = json.dumps(document)

    with ApiClient() as client:
        try:
            again = client.sanitize_for_serialization(client.deserialize(Answer, model))
        except (ValueError, TypeError, AttributeError) as error:
            raise Refused(400, f"strict decoding error: {error}") from error
    if again != document:
        raise Refused(400, f"strict decoding error: unknown field in {document}, which is read as {again}")


@contextmanager
def kubernetes_api(folder: Path) -> Iterator[KubernetesApi]:
    api = KubernetesApi(folder)
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": api}))
    listening.daemon_threads = True
    api.url = f"http://127.0.0.1:{listening.server_port}"
    with serving(listening):
        try:
            yield api
        finally:
            api.close()


def _name(manifest: dict[str, Any], namespace: str) -> str:
    assert manifest["metadata"]["namespace"] == namespace
    return str(manifest["metadata"]["name"])


def _expanded(text: str, variables: dict[str, str]) -> str:
    """Do what a kubelet does: ``$$`` is ``$``, and ``$(NAME)`` a variable, where there is one of that name."""
    return _REFERENCE.sub(lambda m: m[1] or variables.get(m[2], m[0]), text)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: KubernetesApi

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answered("GET")

    def do_POST(self) -> None:
        self._answered("POST")

    def do_DELETE(self) -> None:
        self._answered("DELETE")

    def _answered(self, method: str) -> None:
        split = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        try:
            if self.headers.get("authorization") != "Bearer t0ken":
                raise Refused(401, "Unauthorized")
            found = self._found(method, split.path, query, body)
        except Refused as error:
            status = {"kind": "Status", "apiVersion": "v1", "code": error.code, "message": error.message}
            self._send(status, error.code)
            return
        if found is not None:
            self._send(found)

    def _found(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any] | None:
        if path == "/version/":
            return {**dict.fromkeys(_VERSION, ""), "gitVersion": "v1.34.0"}
        if path.endswith("/selfsubjectaccessreviews"):
            return self._review(body)
        if match := _CLAIM.fullmatch(path):
            return self._claim(match["name"])
        if match := _SECRET.fullmatch(path):
            self._require("secrets", method)
            return self._secret(method, match["namespace"], match["name"], body)
        if match := _POD.fullmatch(path):
            self._require("pods", method)
            return self._pod(method, match, query, body)
        raise Refused(404, f"the server could not find {path}")

    def _require(self, resource: str, method: str) -> None:
        verb = {"GET": "get", "POST": "create", "DELETE": "delete"}[method]
        if f"{verb} {resource}" in self.api.denied:
            raise Refused(403, f'{resource} is forbidden: User "me" cannot {verb} resource "{resource}"')

    def _review(self, body: dict[str, Any]) -> dict[str, Any]:
        require_valid(body, "V1SelfSubjectAccessReview")
        wanted = body["spec"]["resourceAttributes"]
        name = f"{wanted['verb']} {wanted['resource']}" + (f"/{wanted['subresource']}" if wanted["subresource"] else "")
        return {**body, "status": {"allowed": name not in self.api.denied}}

    def _claim(self, name: str) -> dict[str, Any]:
        if name not in self.api.claims:
            raise Refused(404, f'persistentvolumeclaims "{name}" not found')
        return {"metadata": {"name": name}, "status": {"phase": "Bound"}}

    def _secret(self, method: str, namespace: str, name: str | None, body: dict[str, Any]) -> dict[str, Any]:
        return self.api.create_secret(body, namespace) if method == "POST" else self.api.delete_secret(name or "")

    def _pod(
        self, method: str, at: re.Match[str], query: dict[str, str], body: dict[str, Any]
    ) -> dict[str, Any] | None:
        if method == "POST":
            return self.api.create_pod(body, at["namespace"])
        if at["name"] is None:
            return self._list(query["labelSelector"])
        if method == "DELETE":
            return self.api.delete_pod(at["name"], int(query["gracePeriodSeconds"]))
        if at["log"]:
            self._log(self.api.pod(at["name"]), query)
            return None
        return self.api.pod(at["name"]).described()

    def _list(self, selector: str) -> dict[str, Any]:
        key, _, value = selector.partition("=")
        pods = [pod for pod in list(self.api.pods.values()) if pod.manifest["metadata"]["labels"].get(key) == value]
        return {"kind": "PodList", "apiVersion": "v1", "items": [pod.described() for pod in pods]}

    def _log(self, pod: Pod, query: dict[str, str]) -> None:
        """Send what the process writes until it ends, or the connection is to break.

        It keeps no times of lines: with ``sinceSeconds`` it goes on where the connection was broken.
        """
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        most = self.api.breaks.pop(0) if self.api.breaks else None
        with pod.log.open("rb") as file:
            file.seek(pod.sent if "sinceSeconds" in query else 0)
            while True:
                is_over = pod.process is None or pod.process.poll() is not None
                data = file.read(most or -1)
                if data:
                    self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                    self.wfile.flush()
                if data and most:
                    pod.sent = file.tell()
                    self.connection.shutdown(2)
                    self.close_connection = True
                    return
                if is_over and not data:
                    break
                time.sleep(0.02)
        self.wfile.write(b"0\r\n\r\n")

    def _send(self, document: dict[str, Any], code: int = HTTPStatus.OK) -> None:
        data = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
