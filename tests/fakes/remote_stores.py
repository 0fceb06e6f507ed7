"""Servers of object stores, started by the tests themselves, and a file system that fails."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsspec.implementations.memory import MemoryFileSystem


@dataclass
class S3Server:
    """moto's server in this process, on a free port; it counts the requests, and the bytes of what it answers."""

    url: str = ""
    requests: Counter[str] = field(default_factory=Counter)
    bytes_sent: int = 0

    def connection(self) -> str:
        """Return a connection to it, as the variable of an Airflow connection holds one."""
        host = self.url.replace(":", "%3A").replace("/", "%2F")
        return f"aws://AKIAWHOEVER:top-secret-word@/?endpoint_url={host}&region_name=us-east-1"

    def make_bucket(self) -> str:
        """Make a bucket of a new name."""
        name = f"bucket-{uuid.uuid4().hex}"
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/{name}", method="PUT")).close()
        return name


@contextmanager
def s3_server() -> Iterator[S3Server]:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    server = S3Server()
    one_at_a_time = threading.Lock()
    application = DomainDispatcherApplication(create_backend_app)

    def counted(environ: dict[str, Any], start_response: Any) -> Any:
        is_listing = "list-type" in environ.get("QUERY_STRING", "")
        server.requests["LIST" if is_listing else environ["REQUEST_METHOD"]] += 1
        if "HTTP_IF_NONE_MATCH" in environ:  # a store does in one act what moto does in two: look, and write
            with one_at_a_time:
                return application(environ, start_response)
        answer = list(application(environ, start_response))
        server.bytes_sent += sum(map(len, answer))
        return answer

    http = make_server("127.0.0.1", 0, counted, threaded=True)
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


class FlakyFileSystem(MemoryFileSystem):
    """The memory of this process, of which every tenth call fails and some files come cut short."""

    protocol = "flaky"
    cachable = False
    share = 0.1
    generator = random.Random(7)
    calls = 0

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return MemoryFileSystem._strip_protocol(str(path).replace("flaky://", "memory://", 1))

    def _fail_sometimes(self) -> None:
        FlakyFileSystem.calls += 1
        if self.generator.random() < self.share:
            raise OSError("the line went dead")

    def find(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        self._fail_sometimes()
        return super().find(path, *args, **kwargs)

    def info(self, path: Any, **kwargs: Any) -> Any:
        self._fail_sometimes()
        return super().info(path, **kwargs)

    def get_file(self, rpath: Any, lpath: Any, **kwargs: Any) -> None:
        self._fail_sometimes()
        super().get_file(rpath, lpath, **kwargs)
        if self.generator.random() < self.share:
            with open(lpath, "r+b") as file:
                file.truncate(max(0, Path(lpath).stat().st_size - 1))

    def put_file(self, lpath: Any, rpath: Any, **kwargs: Any) -> None:
        self._fail_sometimes()
        super().put_file(lpath, rpath, **kwargs)

    def rm_file(self, path: Any) -> None:
        self._fail_sometimes()
        super().rm_file(path)


class ForgetfulFileSystem(MemoryFileSystem):
    """The memory of this process without conditional writes: whoever creates an object replaces what is there."""

    protocol = "forgetful"
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return MemoryFileSystem._strip_protocol(str(path).replace("forgetful://", "memory://", 1))

    def pipe_file(self, path: Any, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        super().pipe_file(path, value, mode="overwrite", **kwargs)


@contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """Start Azurite, where it is installed, and yield its connection string."""
    program = shutil.which("azurite-blob")
    assert program is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--blobPort", str(port), "--location", str(folder), "--silent", "--skipApiVersionCheck"]
    process = subprocess.Popen(command, stdout=sys.stderr, stderr=sys.stderr)
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    try:
        _wait_for(port, process)
        yield (
            f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={key};"
            f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
        )
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("Azurite does not answer")
