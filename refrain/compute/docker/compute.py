"""DockerCompute: runs a job in a container, which has the job's folders under the same paths."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import weakref
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, BinaryIO

from refrain.compute.containers import KILLED, as_signal, home, without_program
from refrain.compute.docker import container, leftovers
from refrain.compute.docker.client import answering, connect, refusal, remove_run
from refrain.compute.docker.container import Output
from refrain.compute.docker.images import Image, Images
from refrain.compute.docker.settings import DockerSettings
from refrain.compute.job import Job, JobResult, JobStatus, OnLine
from refrain.compute.local import CANCEL_GRACE_SECONDS
from refrain.compute.output import OutputStream, open_log
from refrain.compute.results import JobResults
from refrain.compute.watchman import watchman
from refrain.environments.interpreter import InterpreterIdentity
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import ComputeError, RefrainError, StepFailedError, UnknownNameError, UserError

_HINTS = (
    (
        "bind source path does not exist",
        "The engine must run on this machine, or see its folders under the same paths.",
    ),
    ("could not select device driver", "Install the NVIDIA container toolkit there, or leave out the setting gpus."),
    ("docker-init", "The engine has no init: set init=false."),
    ("minimum memory limit", "Raise the setting memory."),
    ("range of cpus", "Lower the setting cpus."),
)
"""What an engine says about a container that it does not start, and the way out."""


@dataclass(frozen=True)
class _Running:
    job: Job
    output: Any
    log: BinaryIO


class DockerCompute:
    """Containers of a Docker engine. A job's id is that of its container, which is removed when the job has ended.

    :param grace_seconds: how long a canceled process may take to end by itself.
    """

    def __init__(self, settings: DockerSettings, grace_seconds: float = CANCEL_GRACE_SECONDS) -> None:
        self.settings = settings
        self._grace_seconds = grace_seconds
        self._jobs: dict[str, _Running] = {}
        self._results = JobResults("container")
        self._identities: dict[EnvironmentSpec, str] = {}
        self._images: dict[EnvironmentSpec, Image] = {}
        self._lock = threading.Lock()
        self._preparing = threading.Lock()

    @cached_property
    def client(self) -> Any:
        """The connection to the engine: docker-py's ``APIClient``.

        :raises ComputeError: when it does not answer.
        """
        client = connect(self.settings.engine)
        weakref.finalize(self, client.close)
        return client

    @cached_property
    def images(self) -> Images:
        """The engine's images."""
        return Images(self.client, self.settings)

    def identify(self, environment: EnvironmentSpec) -> InterpreterIdentity:
        """See :meth:`refrain.compute.job.Compute.identify`."""
        wanted = _without_variables(environment)
        with self._lock:
            if wanted not in self._identities:
                self._identities[wanted] = self.images.identify(wanted)
            counted = self._identities[wanted]
        python = self._python(environment)
        return InterpreterIdentity(python, f"{python} of {counted}", self._platform, ())

    def prepare(self, environment: EnvironmentSpec, on_line: OnLine) -> str:
        """See :meth:`refrain.compute.job.Compute.prepare`.

        :raises ComputeError: when the image is another one than that which was identified.
        """
        wanted = _without_variables(environment)
        with self._preparing:
            if wanted not in self._images:
                image = self.images.prepare(wanted, on_line)
                now = self.images.identify(wanted)
                with self._lock:
                    counted = self._identities.setdefault(wanted, now)
                if counted != now:
                    raise ComputeError("The image of the step's environment was set anew just now. Run again.")
                self._images[wanted] = image
        return self._python(environment)

    def variables(self, environment: EnvironmentSpec, interpreter: str) -> dict[str, str]:
        """See :meth:`refrain.compute.job.Compute.variables`: the image's own, where ours would hide them."""
        own = self._images[_without_variables(environment)].variables
        variables = {name: own[name] for name in ("PYTHONPATH",) if name in own}
        if os.path.isabs(interpreter) and "PATH" in own:
            variables["PATH"] = os.pathsep.join((os.path.dirname(interpreter), own["PATH"]))
        return variables

    def submit(self, job: Job) -> str:
        """See :meth:`refrain.compute.job.Compute.submit`.

        :raises StepFailedError: when the command cannot be started or its log not be written.
        :raises UserError: when the engine cannot do what the target's settings say.
        """
        image = self._images[_without_variables(job.runs_in)]
        os.makedirs(home(job), exist_ok=True)
        log = open_log(job.log_path)
        # Before the start, so that no moment is left in which nobody knows of it.
        watchman().charge(job.run_id, leftovers.command(self.settings.engine, job.run_id))
        try:
            job_id, output = self._start(job, image)
        except BaseException:
            log.close()
            self._remove(job.run_id)
            raise
        self._jobs[job_id] = _Running(job, output, log)
        return job_id

    def status(self, job_id: str) -> JobStatus:
        """See :meth:`refrain.compute.job.Compute.status`."""
        ended = self._results.find(job_id)
        if ended is not None:
            return ended.status
        state = self._state(job_id)
        if state.get("Running"):
            return JobStatus.RUNNING
        return self._results.status(job_id, state.get("ExitCode", 1))

    def wait(self, job_id: str, on_line: OnLine) -> JobResult:
        """See :meth:`refrain.compute.job.Compute.wait`.

        :raises UnknownNameError: for a job of another process.
        :raises ComputeError: when the engine ends before the container.
        """
        if job_id not in self._jobs:
            raise UnknownNameError(f"The container {job_id!r} was not started from here.")
        running = self._jobs[job_id]
        last = ""

        def on_each(line: str) -> None:
            nonlocal last
            last = line
            on_line(line)

        try:
            with answering(self.settings.engine), running.log, contextlib.closing(running.output):
                _pump(running, on_each)
            code = self._code(job_id)
            cause = self._cause(code, self._state(job_id)) or _missing_program(running.job, code, last)
        finally:
            self._remove(running.job.run_id)
        result = JobResult(self._results.status(job_id, code), as_signal(code), cause)
        self._results.keep(job_id, result)
        del self._jobs[job_id]
        return result

    def result(self, job_id: str) -> JobResult:
        """See :meth:`refrain.compute.job.Compute.result`.

        :raises UnknownNameError: for a job of another process, or one that was not waited for.
        """
        return self._results.get(job_id)

    def cancel(self, job_id: str) -> None:
        """See :meth:`refrain.compute.job.Compute.cancel`: SIGTERM first, SIGKILL to what is left after the grace."""
        from docker.errors import NotFound

        running = self._jobs.get(job_id)
        if running is None:
            return
        self._results.cancel(job_id)
        with contextlib.suppress(NotFound), contextlib.suppress(RefrainError), answering(self.settings.engine):
            self.client.stop(job_id, timeout=math.ceil(self._grace_seconds))
        self._remove(running.job.run_id)

    def end(self, run_id: str) -> None:
        """See :meth:`refrain.compute.job.Compute.end`."""
        with answering(self.settings.engine):
            remove_run(self.client, run_id)

    @cached_property
    def _platform(self) -> str:
        with answering(self.settings.engine):
            version = self.client.version()
        return f"{version['Os']}-{version['Arch']}"

    def _python(self, environment: EnvironmentSpec) -> str:
        return environment.interpreter or self.settings.python

    def _start(self, job: Job, image: Image) -> tuple[str, Any]:
        from docker.errors import APIError

        with answering(self.settings.engine), contextlib.ExitStack() as stack:
            try:
                made = self.client.create_container(**container.options(self.client, job, image.id, self.settings))
                job_id = str(made["Id"])
                output = Output(self.client, job_id)
                stack.callback(output.close)
                self.client.start(job_id)
                stack.pop_all()
            except APIError as error:
                raise _not_started(job, error) from error
        return job_id, output

    def _code(self, job_id: str) -> int:
        from docker.errors import NotFound

        with answering(self.settings.engine):
            try:
                return int(self.client.wait(job_id, timeout=None)["StatusCode"])
            except NotFound:  # it was canceled just now, or removed by somebody
                return KILLED

    def _state(self, job_id: str) -> dict[str, Any]:
        from docker.errors import NotFound

        with answering(self.settings.engine):
            try:
                state: dict[str, Any] = self.client.inspect_container(job_id)["State"]
            except NotFound:
                return {}
        return state

    def _remove(self, run_id: str) -> None:
        """Remove a container; where that fails, the guard tries again when this process ends."""
        with contextlib.suppress(RefrainError):
            self.end(run_id)
            watchman().discharge(run_id)

    def _cause(self, code: int, state: Mapping[str, Any]) -> str:
        if not (code and state.get("OOMKilled")):
            return ""
        limit = f"the {self.settings.memory} of its compute target" if self.settings.memory else "its engine allows"
        return (
            f"its container needed more memory than {limit}. Raise the target's setting memory (refrain compute set), "
            "or let the step use less."
        )


def _without_variables(environment: EnvironmentSpec) -> EnvironmentSpec:
    return replace(environment, variables=())


def _pump(running: _Running, on_line: OnLine) -> None:
    # Apart, because pieces of both arrive in turns: a line, or a secret in it, may have the other's in its middle.
    streams = defaultdict[int, OutputStream](lambda: OutputStream(running.log, on_line, running.job.secrets))
    for number, chunk in running.output.chunks():
        streams[number].feed(chunk)
    for stream in streams.values():
        stream.close()


def _missing_program(job: Job, code: int, last: str) -> str:
    """Say so when Docker's init found nothing to start."""
    is_missing = code in (126, 127) and f"exec {job.argv[0]} failed" in last
    return f"its container {without_program(job)}" if is_missing else ""


def _not_started(job: Job, error: Any) -> Exception:
    said = refusal(error)
    if "executable file not found" in said or "no such file or directory: unknown" in said:
        return StepFailedError(f"The container {without_program(job)}")
    hint = next((hint for words, hint in _HINTS if words in said.lower()), "")
    if error.is_client_error() or hint:
        return UserError(f"The Docker engine does not start the container: {said}. {hint}".rstrip())
    return ComputeError(f"The Docker engine does not start the container: {said}.")
