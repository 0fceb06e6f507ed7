"""Servers of object stores, started by the tests themselves, and a file system that fails."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from fakes.servers import free_port
from fakes.waiting import await_port
from fakes.web_server import serving


@dataclass
class S3Server:
    """moto's server in this process, on a free port; it counts the requests, and the bytes of what it answers."""

    url: str = ""
    requests: Counter[str] = field(default_factory=Counter)
    bytes_sent: int = 0
    ranges: list[str] = field(default_factory=list)  # of each GET of an object; "" for all of it
    refusal: tuple[str, str] | None = None  # what it answers to everything: "403 Forbidden", "ExpiredToken"
    delay: float = 0.0  # seconds before each answer
    told: Callable[[str], object] | None = None  # is called with the method of each request, before it is done

    def connection(self) -> str:
        """Return a connection to it, as the variable of an Airflow connection holds one."""
        host = self.url.replace(":", "%3A").replace("/", "%2F")
        return f"aws://AKIAWHOEVER:top-secret-word@/?endpoint_url={host}&region_name=us-east-1"

    def hold_writes(self, after: int) -> threading.Event:
        """Answer no PUT once there were so many, until the event that is returned is set."""
        may_go_on = threading.Event()
        self.told = lambda method: may_go_on.wait(60) if method == "PUT" and self.requests["PUT"] > after else None
        return may_go_on

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
        time.sleep(server.delay)
        if server.told is not None:
            server.told(environ["REQUEST_METHOD"])
        if environ["REQUEST_METHOD"] == "GET" and not is_listing:
            server.ranges.append(environ.get("HTTP_RANGE", ""))
        if server.refusal is not None:
            status, code = server.refusal
            start_response(status, [("Content-Type", "application/xml")])
            return [f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()]
        if "HTTP_IF_NONE_MATCH" in environ:  # a store does in one act what moto does in two: look, and write
            with one_at_a_time:
                return application(environ, start_response)
        answer = list(application(environ, start_response))
        server.bytes_sent += sum(map(len, answer))
        return answer

    http = make_server("127.0.0.1", 0, counted, threaded=True)
    server.url = f"http://127.0.0.1:{http.server_port}"
    with serving(http):
        yield server


class FlakyFileSystem(MemoryFileSystem):
    """The memory of this process, with every fault that a store may have; each happens in a share of the calls.

    A call fails before it is done or after it (only the answer is lost), files come cut short or break off, and, with
    ``stale_share``, a listing is that of an earlier moment. With ``cut_share``, the store keeps less than it was sent.
    """

    protocol = "flaky"
    cachable = False
    share = 0.1
    stale_share = 0.0
    cut_share = 0.1
    generator = random.Random(7)
    calls = 0
    versions: ClassVar[dict[tuple[str, float], bytes]] = {}
    earlier: ClassVar[list[dict[str, dict[str, Any]]]] = []
    shown: ClassVar[dict[str, dict[str, Any]]] = {}

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return MemoryFileSystem._strip_protocol(str(path).replace("flaky://", "memory://", 1))

    def _fail_sometimes(self) -> None:
        FlakyFileSystem.calls += 1
        if self.generator.random() < self.share:
            raise self.generator.choice(
                [OSError("the line went dead"), OSError(errno.EBUSY, "SlowDown: 503"), TimeoutError("no answer")]
            )

    def find(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        self._fail_sometimes()
        found = super().find(path, *args, **kwargs)
        if self.earlier and self.generator.random() < self.stale_share:
            root = self._strip_protocol(path)
            before = self.generator.choice(self.earlier[-3:])
            found = {name: info for name, info in before.items() if name == root or name.startswith(f"{root}/")}
        FlakyFileSystem.shown = dict(found)
        return found

    def info(self, path: Any, **kwargs: Any) -> Any:
        self._fail_sometimes()
        return super().info(path, **kwargs)

    def get_file(self, rpath: Any, lpath: Any, **kwargs: Any) -> None:
        self._fail_sometimes()
        super().get_file(rpath, lpath, **kwargs)
        if self.generator.random() < self.share:
            with open(lpath, "r+b") as file:
                file.truncate(max(0, Path(lpath).stat().st_size - 1))
            if self.generator.random() < 0.5:
                raise OSError("the line went dead in the middle")

    def cat_file(self, path: Any, start: Any = None, end: Any = None, **kwargs: Any) -> bytes:
        self._fail_sometimes()
        data = bytes(super().cat_file(path, start, end, **kwargs))
        return data[:-1] if self.generator.random() < self.share else data

    def put_file(self, lpath: Any, rpath: Any, **kwargs: Any) -> None:
        self.pipe_file(rpath, Path(lpath).read_bytes())

    def pipe_file(self, path: Any, value: Any, **kwargs: Any) -> None:
        self._fail_sometimes()
        name = self._strip_protocol(path)
        kept = bytes(value[:-1] if self.generator.random() < self.cut_share else value)
        super().pipe_file(name, kept, **kwargs)
        self.versions[name, self.store[name].created.timestamp()] = kept
        self._written()

    def rm_file(self, path: Any) -> None:
        self._fail_sometimes()
        super().rm_file(self._strip_protocol(path))
        self._written()

    def _written(self) -> None:
        now = {name: {"name": name, "size": file.size, "type": "file", "created": file.created.timestamp()}
               for name, file in list(self.store.items())}  # fmt: skip
        self.earlier.append(now)
        if self.generator.random() < self.share / 2:
            raise OSError("the answer was lost")


def node_program(package: str, name: str) -> str:
    """Return a server that is an npm package; the test is skipped where it is not installed."""
    folder = Path(sys.prefix) / "lib" / package / "node_modules" / ".bin"
    program = shutil.which(name, path=f"{folder}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip(f"needs {name}, which scripts/test-deps installs where npm is there")
    return program


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
    """Start Azurite and yield its connection string."""
    port = free_port()
    command = [node_program("azurite", "azurite-blob"), "--blobPort", str(port), "--location", str(folder)]
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    with _serving([*command, "--silent", "--skipApiVersionCheck"], port):
        yield (
            f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={key};"
            f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
        )


@contextmanager
def s3rver(folder: Path) -> Iterator[str]:
    """Start s3rver and yield a connection to it with a bucket named ``bucket``."""
    port = free_port()
    command = [node_program("s3rver", "s3rver"), "--directory", str(folder), "--address", "127.0.0.1"]
    with _serving([*command, "--port", str(port), "--silent", "--configure-bucket", "bucket"], port):
        yield f"aws://S3RVER:S3RVER@/?endpoint_url=http%3A%2F%2F127.0.0.1%3A{port}&region_name=us-east-1"


@contextmanager
def _serving(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=sys.stderr, stderr=sys.stderr)
    try:
        await_port(port, process)  # a busy machine takes its time
        yield
    finally:
        process.kill()  # what it holds goes with it
        process.wait()
