"""A standalone cluster of Spark's own: a master and two workers on free ports of 127.0.0.1."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fakes.servers import free_port
from fakes.waiting import await_port
from refrain.environments.spark import describe
from refrain.errors import UserError

_START_SECONDS = 240
_WORKERS = 2
FRUGAL = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xss512k"
"""Options of Java for applications of a few seconds: they cost half of the processor time."""

SMALL = {
    "spark.driver.memory": "512m",
    "spark.executor.memory": "512m",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.extraJavaOptions": FRUGAL,
    "spark.executor.extraJavaOptions": FRUGAL,
    "spark.sql.shuffle.partitions": "2",
}
"""The conf of a compute target for small tests."""


def require_spark() -> dict[str, Any]:
    """Return where Spark and Java are; skip the test where they are not."""
    try:
        return describe(sys.executable, {}, {})
    except UserError as error:
        pytest.skip(f"no Spark: {error}")


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    url: str
    page: str

    def state(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.page}/json", timeout=10) as answer:
            return dict(json.load(answer))

    def running(self) -> list[str]:
        """Return the names of the applications that have not ended."""
        return [app["name"] for app in self.state()["activeapps"]]

    def executors(self) -> list[int]:
        """Return the processes on this machine that are executors of this cluster's applications."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                line = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"org.apache.spark.executor.CoarseGrainedExecutorBackend" in line and self._is_ours(line):
                found.append(int(folder.name))
        return found

    def _is_ours(self, line: list[bytes]) -> bool:
        workers = [f"spark://Worker@{w['host']}:{w['port']}".encode() for w in self.state()["workers"]]
        return any(worker in line for worker in workers)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    found = require_spark()
    port, page_port = free_port(), free_port()
    made = Cluster(f"spark://127.0.0.1:{port}", f"http://127.0.0.1:{page_port}")
    here = ("--host", "127.0.0.1")
    with ExitStack() as stack:
        start = stack.enter_context
        master = (*here, "--port", str(port), "--webui-port", str(page_port))
        start(_daemon(found, folder / "master", "master.Master", *master))
        for number in range(_WORKERS):
            small = (
                "--webui-port",
                "0",
                "--cores",
                "1",
                "--memory",
                "700m",
                "--work-dir",
                str(folder / f"work{number}"),
            )
            start(_daemon(found, folder / f"worker{number}", "worker.Worker", *here, *small, made.url))
        _wait_for_workers(made, folder)
        yield made


@contextmanager
def connect_server(folder: Path) -> Iterator[str]:
    """A Spark Connect server on this machine; yields its URL."""
    found = require_spark()
    for module in ("grpc_status", "pandas", "pyarrow", "google.rpc", "zstandard"):
        try:
            missing = importlib.util.find_spec(module) is None
        except ModuleNotFoundError:
            missing = True
        if missing:
            pytest.skip(f"no client of Spark Connect: {module} is not installed")
    port = free_port()
    options = ("--master", "local[1]", "--conf", f"spark.connect.grpc.binding.port={port}")
    settings = ("--conf", "spark.connect.grpc.binding.address=127.0.0.1", "--conf", "spark.ui.enabled=false")
    name = "org.apache.spark.sql.connect.service.SparkConnectServer"
    words = ("org.apache.spark.deploy.SparkSubmit", *options, *settings, "--class", name, "spark-internal")
    with _process(found, folder / "connect", words, memory="600m") as server:
        await_port(port, server, _START_SECONDS, lambda: (folder / "connect").read_text()[-2000:])
        yield f"sc://127.0.0.1:{port}"


@contextmanager
def _daemon(found: dict[str, Any], log: Path, name: str, *options: str) -> Iterator[None]:
    with _process(found, log, (f"org.apache.spark.deploy.{name}", *options)):
        yield


@contextmanager
def _process(
    found: dict[str, Any], log: Path, words: tuple[str, ...], memory: str = "256m"
) -> Iterator[subprocess.Popen[bytes]]:
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "JAVA_HOME": found["java_home"],
        "SPARK_HOME": found["spark_home"],
        "SPARK_DAEMON_MEMORY": memory,
        "SPARK_DAEMON_JAVA_OPTS": FRUGAL,
        "SPARK_LAUNCHER_OPTS": FRUGAL,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [f"{found['spark_home']}/bin/spark-class", *words],
            cwd=log.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_workers(made: Cluster, folder: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            if made.state()["aliveworkers"] == _WORKERS:
                return
        except (OSError, ValueError):  # its page is there before what it tells
            pass
        time.sleep(0.2)
    logs = "\n".join(path.read_text()[-2000:] for path in sorted(folder.iterdir()) if path.is_file())
    raise TimeoutError(f"The cluster did not start within {_START_SECONDS} s:\n{logs}")
