"""A cluster of Dask's own on 127.0.0.1: a scheduler, and workers that stand for nodes, each a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fakes.servers import free_port
from fakes.waiting import await_port, eventually

START_SECONDS = 90


@dataclass
class DaskCluster:
    """A running cluster.

    :param options: what its processes are started with besides, such as certificates.
    """

    address: str
    folder: Path
    options: Sequence[str] = ()
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker, which runs one host at a time, as one machine does."""
        name = f"worker{len(self.workers)}"
        words = [
            "--nthreads",
            "1",
            "--no-nanny",
            "--no-dashboard",
            "--name",
            name,
            "--local-directory",
            str(self.folder),
        ]
        self.workers.append(_process(self.folder / name, "dask_worker", self.address, *words, *self.options))
        return self.workers[-1]

    def await_workers(self) -> None:
        """Wait until those that live have joined."""
        living = [path for path, worker in zip(self._logs(), self.workers, strict=True) if worker.poll() is None]
        assert eventually(lambda: all("Registered to" in path.read_text() for path in living), START_SECONDS), [
            path.read_text()[-2000:] for path in living
        ]

    def order(self, **settings: object) -> str:
        """Return what a compute target says of the cluster."""
        told = {"target": "cluster", "scheduler": self.address, "launcher": sys.executable, **settings}
        return json.dumps(told)

    def hosts(self, worker: subprocess.Popen[bytes]) -> list[int]:
        """Return the hosts that a worker has started."""
        return [pid for pid in children(worker.pid) if b"nodes.host" in _command(pid)]

    def _logs(self) -> list[Path]:
        return [self.folder / f"worker{number}" for number in range(len(self.workers))]


def children(process: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found += [int(path.parent.name)] if int(fields[1]) == process and fields[0] != "Z" else []
    return found


@contextmanager
def dask_cluster(workers: int = 2, options: Sequence[str] = (), scheme: str = "tcp") -> Iterator[DaskCluster]:
    with tempfile.TemporaryDirectory(prefix="refrain-dask-") as name, ExitStack() as stack:
        folder, port = Path(name), free_port()
        words = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard", *options]
        scheduler = _process(folder / "scheduler", "dask_scheduler", *words)
        stack.callback(_end, scheduler)
        cluster = DaskCluster(f"{scheme}://127.0.0.1:{port}", folder, options)
        stack.callback(lambda: [_end(worker) for worker in cluster.workers])
        await_port(port, scheduler, START_SECONDS, lambda: (folder / "scheduler").read_text()[-2000:])
        for _ in range(workers):
            cluster.add_worker()
        cluster.await_workers()
        yield cluster


def _process(log: Path, module: str, *words: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", *words],
            cwd=log.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""
