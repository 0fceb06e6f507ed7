"""LocalCompute: runs a job as a process on this machine, in a process group of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from refrain.compute.job import Job, JobResult, JobStatus, OnLine
from refrain.compute.output import OutputStream, open_log
from refrain.compute.processes import MARK, is_alive, kill_group, kill_marked, start_mark
from refrain.compute.results import JobResults
from refrain.compute.variables import of_this_machine
from refrain.compute.watchman import watchman
from refrain.environments.interpreter import InterpreterIdentity, identify
from refrain.environments.specification import SPARK_VARIABLES, EnvironmentSpec
from refrain.errors import StepCanceledError, StepFailedError, UnknownNameError, UserError
from refrain.values import dataclass

if TYPE_CHECKING:
    import subprocess

    from refrain.environments.environments import Environments
    from refrain.environments.uv import RunTool

CANCEL_GRACE_SECONDS = 5.0
_DRAIN_SECONDS = 5.0


@dataclass(frozen=True)
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    log: BinaryIO


class LocalCompute:
    """Processes on this machine. A job's id is ``<pid> <start mark>``, so that a later process is never mistaken.

    :param grace_seconds: how long a canceled process may take to end by itself.
    :param environments: makes the environments that packages are installed into; None refuses those.
    :param spark: what the target says of the Spark that its Spark steps start, as environment variables.
    :param told: what else it says to every process, as environment variables.
    """

    def __init__(
        self,
        grace_seconds: float = CANCEL_GRACE_SECONDS,
        environments: Callable[[RunTool], Environments] | None = None,
        spark: Mapping[str, str] | None = None,
        told: Mapping[str, str] | None = None,
    ) -> None:
        self._grace_seconds = grace_seconds
        self._make_environments = environments
        self._spark = dict(spark or {})
        self._told = dict(told or {})
        self._jobs: dict[str, _Running] = {}
        self._results = JobResults("process")
        self._identities: dict[EnvironmentSpec, InterpreterIdentity] = {}
        self._lock = threading.Lock()
        self._tools: set[str] = set()
        self._tools_lock = threading.Lock()  # the other one is held while packages are resolved
        self._is_interrupted = threading.Event()

    def identify(self, environment: EnvironmentSpec) -> InterpreterIdentity:
        """See :meth:`refrain.compute.job.Compute.identify`."""
        wanted = replace(environment, variables=()) if environment.variables else environment
        with self._lock:
            identity = self._identities.get(wanted)
            if identity is None or not identity.is_current:
                identity = identify(wanted.interpreter) if wanted.is_there else self.environments.identify(wanted)
                self._identities[wanted] = identity
        if not environment.uses_spark:
            return identity
        from refrain.environments.spark import with_spark

        return with_spark(identity, environment, self._spark)

    def prepare(self, environment: EnvironmentSpec, on_line: OnLine) -> str:
        """See :meth:`refrain.compute.job.Compute.prepare`."""
        if environment.is_there:
            return self.identify(environment).path
        return self.environments.prepare(environment, on_line)

    @cached_property
    def environments(self) -> Environments:
        """The environments that packages are installed into.

        :raises UserError: for a target that was made without a workspace.
        """
        if self._make_environments is None:
            raise UserError("Environments need a workspace, and this compute target has none.")
        made = self._make_environments(self._run_tool)
        made.cache.require_going_on = self._require_going_on
        return made

    def _run_tool(self, argv: Sequence[str], environ: Mapping[str, str], folder: Path, on_line: OnLine) -> int:
        """Run a program that builds an environment; it ends with this process, as jobs do.

        :raises StepCanceledError: when it was interrupted.
        """
        self._require_going_on()
        run_id = f"environment-{os.urandom(16).hex()}"
        job_id = self.submit(Job(run_id, tuple(argv), str(folder), {**environ, MARK: run_id}, os.devnull))
        with self._tools_lock:
            self._tools.add(job_id)
        try:
            if self._is_interrupted.is_set():  # in this very moment
                self.cancel(job_id)
            code = self.wait(job_id, on_line).exit_code
        except BaseException:  # whoever waited was interrupted
            self.cancel(job_id)
            raise
        finally:
            with self._tools_lock:
                self._tools.discard(job_id)
        self._require_going_on()
        return code

    def _require_going_on(self) -> None:
        if self._is_interrupted.is_set():
            raise StepCanceledError("The step was canceled before its environment was ready.")

    def interrupt(self) -> None:
        """See :class:`refrain.compute.job.Interruptible`."""
        self._is_interrupted.set()
        with self._tools_lock:
            tools = list(self._tools)
        for job_id in tools:
            self.cancel(job_id)

    def variables(self, environment: EnvironmentSpec, interpreter: str) -> dict[str, str]:
        """See :meth:`refrain.compute.job.Compute.variables`."""
        return {**of_this_machine(interpreter, SPARK_VARIABLES if environment.uses_spark else ()), **self._told}

    def submit(self, job: Job) -> str:
        """See :meth:`refrain.compute.job.Compute.submit`.

        :raises StepFailedError: when the command cannot be started or its log not be written.
        """
        import subprocess

        log = open_log(job.log_path)
        watchman().expect(job.run_id)  # before the start, so that no moment is left in which nobody knows of it
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
        except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
            log.close()
            watchman().forget(job.run_id)
            reason = error.strerror if isinstance(error, OSError) else error
            raise StepFailedError(f"Cannot start {job.argv[0]!r}: {reason}.") from error
        job_id = f"{process.pid} {start_mark(process.pid)}"
        self._jobs[job_id] = _Running(job, process, log)
        watchman().watch(process.pid, job.run_id)
        return job_id

    def status(self, job_id: str) -> JobStatus:
        """See :meth:`refrain.compute.job.Compute.status`."""
        ended = self._results.find(job_id)
        if ended is not None:
            return ended.status
        if job_id in self._jobs:
            code = self._jobs[job_id].process.poll()
            return JobStatus.RUNNING if code is None else self._results.status(job_id, code)
        process, _, mark = job_id.partition(" ")
        return JobStatus.RUNNING if is_alive(int(process), mark) else JobStatus.FAILED

    def wait(self, job_id: str, on_line: OnLine) -> JobResult:
        """See :meth:`refrain.compute.job.Compute.wait`.

        What the job leaves running is killed, wherever it went: it could still write to an output that is being
        committed.

        :raises UnknownNameError: for a job of another process.
        """
        if job_id not in self._jobs:
            raise UnknownNameError(f"The process {job_id!r} was not started from here.")
        running = self._jobs[job_id]
        process = running.process
        reader = threading.Thread(target=_pump, args=(running, on_line), daemon=True)
        reader.start()
        code = process.wait()
        kill_group(process.pid)
        kill_marked(running.job.run_id)
        reader.join(_DRAIN_SECONDS)  # a process that shed our mark may hold the pipe for ever
        watchman().release(process.pid)
        result = self._results.keep(job_id, JobResult(self._results.status(job_id, code), code))
        del self._jobs[job_id]
        return result

    def result(self, job_id: str) -> JobResult:
        """See :meth:`refrain.compute.job.Compute.result`.

        :raises UnknownNameError: for a job of another process, or one that was not waited for.
        """
        return self._results.get(job_id)

    def cancel(self, job_id: str) -> None:
        """See :meth:`refrain.compute.job.Compute.cancel`: SIGTERM first, SIGKILL to what is left after the grace."""
        running = self._jobs.get(job_id)
        if running is None:
            return
        process = running.process
        import subprocess

        self._results.cancel(job_id)
        if process.poll() is None:
            kill_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self._grace_seconds)
        kill_group(process.pid)
        kill_marked(running.job.run_id)

    def end(self, run_id: str) -> None:
        """See :meth:`refrain.compute.job.Compute.end`."""
        kill_marked(run_id)


def _pump(running: _Running, on_line: OnLine) -> None:
    """Read to the end; the one who reads also closes, so that no number of a closed file is ever read from."""
    stream = OutputStream(running.log, on_line, running.job.secrets)
    with running.process.stdout as pipe, running.log:  # type: ignore[union-attr]  # it is a pipe
        while chunk := os.read(pipe.fileno(), 65536):
            stream.feed(chunk)
        stream.close()
