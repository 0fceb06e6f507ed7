"""Launch: several processes of one step on one machine, each of which knows its rank.

``python -m refrain.runtime.launch KIND PROCESSES SERVERS NODES COMMAND…``, where the kind is ``mpi``, ``pytorch`` or
``tensorflow``. Every line of a process's output comes out with ``[rank N] `` before it. When one process fails, the
others are stopped, and the launcher ends as that process did.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

_HOST = "127.0.0.1"
_GRACE_SECONDS = 5.0
_PAUSE = 0.02
_DRAIN_SECONDS = 5.0
_LONGEST_LINE = 32 * 1024
_TAG = re.compile(rb"\[\d+,(\d+)\]<std(?:out|err)>:")
_WRONG_USE = 2
_NOT_STARTED = 127


class Rank:
    """One process.

    :param variables: what it finds in its environment besides what all have.
    :param ends_the_run: False for a server, which is stopped when all others have ended.
    """

    def __init__(self, number: int, variables: dict[str, str], ends_the_run: bool = True) -> None:
        self.number = number
        self.ends_the_run = ends_the_run
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs, or where it was not started."""
        return None if self._process is None else self._process.poll()

    def start(self, command: list[str], output: Output) -> None:
        """Start the process, whose lines go to *output*."""
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **self._variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._pump, args=(self._process.stdout, output), daemon=True)
        self._reader.start()

    def terminate(self) -> None:
        """Ask the process to end."""
        if self._process is not None and self.code is None:
            self._process.terminate()

    def end(self, deadline: float) -> None:
        """Wait for the end until a moment of the monotonic clock, then enforce it; take in the rest of the output."""
        if self._process is None or self._reader is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_DRAIN_SECONDS)  # what it started may hold the pipe

    def _pump(self, stream: IO[bytes], output: Output) -> None:
        for line in iter(lambda: stream.readline(_LONGEST_LINE), b""):
            output.rank_line(self.number, line)


class Output:
    """Standard output, to which whole lines of all ranks are written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stream = sys.stdout.buffer

    def say(self, text: str) -> None:
        """Write a line of the launcher's own."""
        self.write(b"launch: " + text.encode() + b"\n")

    def rank_line(self, number: int, line: bytes) -> None:
        """Write a line of a rank."""
        self.write(b"[rank %d] " % number + line.rstrip(b"\r\n") + b"\n")

    def write(self, line: bytes) -> None:
        """Write bytes at once."""
        with self._lock:
            self._stream.write(line)
            self._stream.flush()


def main(argv: list[str] | None = None) -> int:
    """Start the ranks, wait for them and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    output = Output()
    kind, counts, command = words[0], words[1:4], words[4:]
    try:
        processes, servers, nodes = (int(text) for text in counts)
    except ValueError:
        output.say("numbers of processes and nodes must be whole numbers, not %s" % ", ".join(counts))
        return _WRONG_USE
    if nodes != 1:
        output.say("%d nodes are asked for, but a step runs on one machine; ask for 1 and more processes" % nodes)
        return _WRONG_USE
    if processes < 1 or servers < 0:
        output.say("at least one process is needed, not %d with %d servers" % (processes, servers))
        return _WRONG_USE
    mpirun = shutil.which("mpirun") if kind == "mpi" else None
    if mpirun is not None:
        return _run_mpirun(mpirun, processes, command, output)
    if kind == "mpi":
        output.say("mpirun is not installed here: the processes get the ranks that it would give, but no MPI")
    return _run(_ranks(kind, processes, servers), command, output)


def _ranks(kind: str, processes: int, servers: int) -> list[Rank]:
    if kind == "tensorflow":
        return _tensorflow(processes, servers)
    variables = _mpi if kind == "mpi" else _torch
    port = _free_ports(1)[0]
    return [Rank(number, variables(number, processes, port)) for number in range(processes)]


def _torch(number: int, processes: int, port: int) -> dict[str, str]:
    return {
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "NODE_RANK": "0",
        "MASTER_ADDR": _HOST,
        "MASTER_PORT": str(port),
    }


def _mpi(number: int, processes: int, port: int) -> dict[str, str]:
    """What mpirun would set, and Azure ML besides."""
    return {
        "OMPI_COMM_WORLD_RANK": str(number),
        "OMPI_COMM_WORLD_LOCAL_RANK": str(number),
        "OMPI_COMM_WORLD_SIZE": str(processes),
        "OMPI_COMM_WORLD_LOCAL_SIZE": str(processes),
        "PMI_RANK": str(number),
        "PMI_SIZE": str(processes),
        **_master(port),
    }


def _master(port: int) -> dict[str, str]:
    return {"AZ_BATCHAI_MPI_MASTER_NODE": _HOST, "AZ_BATCH_MASTER_NODE": "%s:%d" % (_HOST, port)}


def _tensorflow(workers: int, servers: int) -> list[Rank]:
    ports = _free_ports(workers + servers)
    addresses = ["%s:%d" % (_HOST, port) for port in ports]
    cluster = {"worker": addresses[:workers]}
    if servers:
        cluster["ps"] = addresses[workers:]
    tasks = [("worker", index) for index in range(workers)] + [("ps", index) for index in range(servers)]
    ranks = []
    for number, (kind, index) in enumerate(tasks):
        config = {"cluster": cluster, "task": {"type": kind, "index": index}, "environment": "cloud"}
        ranks.append(Rank(number, {"TF_CONFIG": json.dumps(config)}, ends_the_run=kind == "worker"))
    return ranks


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, all of them asked for before one is let go of."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((_HOST, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _run(ranks: list[Rank], command: list[str], output: Output) -> int:
    try:
        for rank in ranks:
            rank.start(command, output)
        failed = _wait(ranks)
    except OSError as error:
        output.say("%s cannot be started: %s" % (command[0], error.strerror))
        return _NOT_STARTED
    finally:
        _stop(ranks)
    if failed is None:
        return 0
    rank, code = failed
    others = "; the others were stopped" if len(ranks) > 1 else ""
    output.say("rank %d %s%s" % (rank.number, _ending(code), others))
    return code if code > 0 else 128 - code


def _wait(ranks: list[Rank]) -> tuple[Rank, int] | None:
    """Wait until all workers have ended, or one rank has failed, which is returned with its exit code."""
    while True:
        codes = [(rank, rank.code) for rank in ranks]
        for rank, code in codes:
            if code:
                return rank, code
        if all(code is not None for rank, code in codes if rank.ends_the_run):
            return None
        time.sleep(_PAUSE)


def _stop(ranks: list[Rank]) -> None:
    """End what still runs, and hand over what it said."""
    for rank in ranks:
        rank.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for rank in ranks:
        rank.end(deadline)


def _ending(code: int) -> str:
    if code > 0:
        return "failed: it exited with code %d" % code
    try:
        return "failed: it was ended by %s" % signal.Signals(-code).name
    except ValueError:
        return "failed: it was ended by signal %d" % -code


def _run_mpirun(mpirun: str, processes: int, command: list[str], output: Output) -> int:
    words = [mpirun, "-n", str(processes), "--tag-output", "--oversubscribe"]
    words += ["--allow-run-as-root"] if os.getuid() == 0 else []
    process = subprocess.Popen(
        [*words, *command],
        env={**os.environ, **_master(_free_ports(1)[0])},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    stream: IO[bytes] = process.stdout  # type: ignore[assignment]  # it is a pipe
    parts: dict[int, bytes] = {}
    for line in iter(lambda: stream.readline(_LONGEST_LINE), b""):
        before, *tagged = _TAG.split(line)
        if before:  # mpirun's own
            output.write(before)
        for rank, text in zip(map(int, tagged[::2]), tagged[1::2]):  # a tag comes with each write, not each line
            parts[rank] = parts.get(rank, b"") + text
            if text.endswith(b"\n") or len(parts[rank]) > _LONGEST_LINE:
                output.rank_line(rank, parts.pop(rank))
    for rank, text in parts.items():
        output.rank_line(rank, text)
    code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
