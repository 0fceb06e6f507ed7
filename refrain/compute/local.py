"""LocalCompute: runs a job as a process on this machine, in a process group of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from refrain.compute import guard as guard_module
from refrain.compute.job import Job, JobResult, JobStatus, OnLine
from refrain.compute.output import OutputStream
from refrain.compute.processes import is_alive, kill_group, kill_marked, start_mark
from refrain.errors import StepFailedError, UnknownNameError

CANCEL_GRACE_SECONDS = 5.0
_DRAIN_SECONDS = 5.0


class Guard:
    """The engine's end of :mod:`refrain.compute.guard`; one per engine process, started with its first job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self, group: int, run_id: str) -> None:
        """End this process group if the engine dies."""
        self._say(f"+{group} {run_id}\n")

    def release(self, group: int) -> None:
        """Forget a process group that has ended."""
        self._say(f"-{group}\n")

    def _say(self, line: str) -> None:
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-E", str(guard_module.__file__)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            stdin = self._process.stdin
            assert stdin is not None
            with contextlib.suppress(BrokenPipeError):
                stdin.write(line.encode())
                stdin.flush()


class LocalCompute:
    """Processes on this machine. A job's id is ``<pid> <start mark>``, so that a later process is never mistaken."""

    def __init__(self) -> None:
        self._guard = Guard()
        self._jobs: dict[str, tuple[Job, subprocess.Popen[bytes]]] = {}
        self._canceled: set[str] = set()

    def submit(self, job: Job) -> str:
        """See :meth:`refrain.compute.job.Compute.submit`.

        :raises StepFailedError: when the command cannot be started.
        """
        try:
            process = subprocess.Popen(
                job.argv,
                cwd=job.working_directory,
                env=dict(job.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise StepFailedError(f"Cannot start {job.argv[0]!r}: {error.strerror}.") from error
        job_id = f"{process.pid} {start_mark(process.pid)}"
        self._jobs[job_id] = (job, process)
        self._guard.watch(process.pid, job.run_id)
        return job_id

    def status(self, job_id: str) -> JobStatus:
        """See :meth:`refrain.compute.job.Compute.status`."""
        if job_id in self._jobs:
            return self._status(job_id, self._jobs[job_id][1].poll())
        process, _, mark = job_id.partition(" ")
        return JobStatus.RUNNING if is_alive(int(process), mark) else JobStatus.FAILED

    def wait(self, job_id: str, on_line: OnLine) -> JobResult:
        """See :meth:`refrain.compute.job.Compute.wait`. What the job leaves running in its group is killed.

        :raises UnknownNameError: for a job of another process.
        """
        job, process = self._own(job_id)
        pipe = process.stdout
        assert pipe is not None
        with open(job.log_path, "ab", buffering=0) as log:
            reader = threading.Thread(target=_pump, args=(pipe, OutputStream(log, on_line, job.secrets)), daemon=True)
            reader.start()
            process.wait()
            kill_group(process.pid)
            reader.join(_DRAIN_SECONDS)
            if reader.is_alive():  # a process outside of the group still holds the pipe
                kill_marked(job.run_id)
                reader.join(_DRAIN_SECONDS)
        pipe.close()
        self._guard.release(process.pid)
        return self.result(job_id)

    def result(self, job_id: str) -> JobResult:
        """See :meth:`refrain.compute.job.Compute.result`.

        :raises UnknownNameError: for a job of another process.
        """
        code = self._own(job_id)[1].returncode
        return JobResult(self._status(job_id, code), code)

    def cancel(self, job_id: str) -> None:
        """See :meth:`refrain.compute.job.Compute.cancel`: SIGTERM first, SIGKILL to what is left after five seconds."""
        if job_id not in self._jobs:
            return
        job, process = self._jobs[job_id]
        self._canceled.add(job_id)
        if process.poll() is None:
            kill_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(CANCEL_GRACE_SECONDS)
        kill_group(process.pid)
        kill_marked(job.run_id)

    def _own(self, job_id: str) -> tuple[Job, subprocess.Popen[bytes]]:
        if job_id not in self._jobs:
            raise UnknownNameError(f"The process {job_id!r} was not started from here.")
        return self._jobs[job_id]

    def _status(self, job_id: str, code: int | None) -> JobStatus:
        if code is None:
            return JobStatus.RUNNING
        if code == 0:
            return JobStatus.SUCCEEDED
        return JobStatus.CANCELED if job_id in self._canceled else JobStatus.FAILED


def _pump(pipe: IO[bytes], stream: OutputStream) -> None:
    descriptor = pipe.fileno()
    with contextlib.suppress(OSError, ValueError):  # the pipe is closed under us when draining was given up
        while chunk := os.read(descriptor, 65536):
            stream.feed(chunk)
    stream.close()


def search_path(interpreter: str) -> str:
    """Return the interpreter's folder, which comes first on the ``PATH`` of a step."""
    return str(Path(interpreter).parent)
