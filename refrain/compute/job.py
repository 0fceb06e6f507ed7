"""Job: a command with all that its process needs, and the questions that a compute target answers about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from enum import Enum
from typing import Protocol, runtime_checkable

from refrain.environments.interpreter import InterpreterIdentity
from refrain.environments.specification import EnvironmentSpec
from refrain.values import dataclass

OnLine = Callable[[str], None]


@dataclass(frozen=True)
class JobPath:
    """A file or folder of this machine that a job's process finds under the same path wherever it runs.

    :param path: how the process names it.
    :param source: what is there on this machine; another path than *path* only where a link leads to it.
    """

    path: str
    source: str
    is_writable: bool = False


@dataclass(frozen=True)
class Job:
    """What to run.

    :param run_id: the step run's id; also how leftover processes are found, in ``AZUREML_RUN_ID``.
    :param argv: the command; no shell ever sees it.
    :param environment: the whole environment of the process; may hold secrets, so that no log or traceback shows it.
    :param log_path: file that receives the output.
    :param secrets: texts that are masked in the output.
    :param runs_in: what it runs in, which has been made ready.
    :param scratch: a folder of the job's own, which is deleted when it has ended; empty for none.
    :param paths: names what the process needs of this machine; asked only for a process that does not run on it.
    """

    run_id: str
    argv: tuple[str, ...]
    working_directory: str
    environment: Mapping[str, str] = field(repr=False)
    log_path: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    runs_in: EnvironmentSpec = field(default_factory=EnvironmentSpec)
    scratch: str = ""
    paths: Callable[[], tuple[JobPath, ...]] = tuple


class JobStatus(Enum):
    """How far a job is."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True)
class JobResult:
    """How a job ended. ``exit_code`` is negative for a signal, as in :mod:`subprocess`.

    :param cause: a sentence that says why, where more is known than the code; empty otherwise.
    """

    status: JobStatus
    exit_code: int
    cause: str = ""


@runtime_checkable
class Interruptible(Protocol):
    """A compute target that makes environments ready by programs of its own, which can take long."""

    def interrupt(self) -> None:
        """End what makes environments ready, from any thread; nothing is made ready any more.

        Whoever waits for it gets a :class:`refrain.errors.StepCanceledError`.
        """


class Compute(Protocol):
    """What a step may run in there, and the six questions of Airflow's ``ResumableJobMixin`` about its job."""

    def identify(self, environment: EnvironmentSpec) -> InterpreterIdentity:
        """Return what a process would run in, for the fingerprint; nothing is made ready.

        :raises UserError: when there cannot be such an environment.
        """

    def prepare(self, environment: EnvironmentSpec, on_line: OnLine) -> str:
        """Make an environment ready, telling of it line by line, and return the path of its interpreter there.

        :raises RefrainError: when it cannot be made.
        """

    def variables(self, environment: EnvironmentSpec, interpreter: str) -> dict[str, str]:
        """Return the variables that every process has there: its search path, and what it needs of its machine.

        :param interpreter: as :meth:`prepare` returned it.
        """

    def submit(self, job: Job) -> str:
        """Start a job and return an id that outlives this process."""

    def status(self, job_id: str) -> JobStatus:
        """Say how far a job is."""

    def wait(self, job_id: str, on_line: OnLine) -> JobResult:
        """Wait for a job's end, handing over its output line by line."""

    def result(self, job_id: str) -> JobResult:
        """Say how a job ended."""

    def cancel(self, job_id: str) -> None:
        """Stop a job and everything that it started; nothing happens when it has ended."""

    def end(self, run_id: str) -> None:
        """End what still runs of a step run whose engine was killed.

        :raises RefrainError: when that cannot be found out now.
        """
