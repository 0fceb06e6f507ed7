"""Every error that Refrain raises, under one base and under the builtin a caller would expect."""

from __future__ import annotations

import errno
from collections.abc import Iterable

_WAYS_OUT = {
    errno.ENOSPC: "Make room there",
    errno.EDQUOT: "Make room there, or have the quota raised",
    errno.EROFS: "Mount it for writing",
    errno.EACCES: "Let the user who runs this write there",
}


class RefrainError(Exception):
    """Base of every error raised by Refrain."""


class UserError(RefrainError, ValueError):
    """A definition, an argument or a setting is wrong; the message says which and what to write instead."""


class NotHereError(UserError, AttributeError):
    """A name of Azure ML's has no counterpart here."""


class DatasetTimestampMissingError(UserError):
    """A time range is asked of a dataset that does not know which column is its time."""


class PipelineError(UserError):
    """A pipeline cannot be built from its steps."""


class ParameterError(UserError):
    """A pipeline parameter is unknown or has a value of the wrong type."""


class ParameterClassError(ParameterError, TypeError):
    """A pipeline parameter is given data of another class than its default's."""


class SnapshotError(RefrainError, OSError):
    """A source directory cannot be captured or restored."""


class DataError(RefrainError, OSError):
    """Data that a step needs or promised is missing, unreadable or of an unexpected kind."""


class DataNotFoundError(DataError, FileNotFoundError):
    """An input names data that does not exist."""


class OutputError(DataError):
    """A step ended well but one of its outputs is missing, empty or not storable."""


class EnvironmentFailedError(RefrainError, RuntimeError):
    """An environment cannot be resolved or built; the message says why."""


class TransferCanceledError(RefrainError, RuntimeError):
    """A copy was stopped before it ended, on request."""


class InputChangedError(DataError):
    """A step changed data that belongs to an earlier step."""


class WorkspaceError(RefrainError, OSError):
    """A workspace cannot be found, read or written."""


class WorkspaceSchemaError(WorkspaceError):
    """A workspace was written by a newer Refrain than this one."""


class CorruptObjectError(WorkspaceError):
    """A stored object does not hold what its name or checksum promises."""


class StepFailedError(RefrainError, RuntimeError):
    """A step's process ended with a non-zero exit code or by a signal."""


class StepCanceledError(RefrainError, RuntimeError):
    """A step was stopped before it ended, on request."""


class BeingMadeError(RefrainError, RuntimeError):
    """A step's result is being made by another run right now, and it was not to be waited for here.

    :param fingerprint: of the result; who waits watches its lease.
    :param run_id: of the step run that makes it.
    """

    def __init__(self, key: str, fingerprint: str, run_id: str) -> None:
        super().__init__(f"The result of step {key!r} is being made by run {run_id}; wait for it, then try again.")
        self.fingerprint = fingerprint
        self.run_id = run_id


class SuspendedError(RefrainError, RuntimeError):
    """A step's job runs elsewhere, and it was not to be waited for here; the step run goes on when the job has ended.

    :param run_id: of the step run.
    :param job: what whoever waits needs to know of the job.
    """

    def __init__(self, message: str, run_id: str, job: object) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.job = job


class DatabricksError(RefrainError, RuntimeError):
    """Databricks could not be reached, or has failed by itself: another try may help.

    :param status: the HTTP status; None if there was no answer.
    :param code: Databricks' own word for what is wrong.
    """

    def __init__(self, message: str, status: int | None = None, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class DatabricksRefusedError(DatabricksError, UserError):
    """Databricks refused a request, and will do so again until something is changed."""


class RunFailedError(RefrainError, RuntimeError):
    """A pipeline run ended in failure."""


class RunNotFoundError(RefrainError, LookupError):
    """No run has the given id."""


class UnknownNameError(RefrainError, LookupError):
    """A name is in none of the places where it should be registered."""


class ModelNotFoundException(UnknownNameError):
    """No model has the name, the version or the labels that were asked for."""


class ModelPathNotFoundException(DataNotFoundError):
    """Nothing is at the path that a model is to be registered from."""


class ComputeError(RefrainError, RuntimeError):
    """A compute target cannot be used now; the message says what is wrong there, and trying again may help."""


class ComputeTargetException(UnknownNameError):
    """A compute target is not there, or is of another kind; Azure ML's notebooks create it then."""


class UntrustedReferenceError(RefrainError, ValueError):
    """A reference that came over XCom does not match the run record in the workspace."""


class AirflowServerError(RefrainError, RuntimeError):
    """An embedded Airflow cannot be prepared, started or stopped."""


class AirflowRequestError(RefrainError, RuntimeError):
    """Airflow's REST API refused a request.

    :param status: the HTTP status; ``None`` if there was no answer.
    :param detail: the server's own words.
    """

    def __init__(self, message: str, *, status: int | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail


class AirflowUnreachableError(AirflowRequestError, ConnectionError):
    """Nobody answers at the address of an Airflow."""


class DagImportError(RefrainError, RuntimeError):
    """Airflow cannot import a DAG file; the message holds its traceback."""


def known(names: Iterable[str]) -> str:
    """Render *names* for the end of a message: sorted, comma separated, or ``none``."""
    return ", ".join(sorted(names)) or "none"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest of *names*, or an empty string."""
    from difflib import get_close_matches

    matches = get_close_matches(name, list(names), n=1)
    return f" Did you mean '{matches[0]}'?" if matches else ""


def why(error: OSError, or_else: str = "") -> str:
    """Return what the system says, for the end of a message, with the way out where there is one.

    :param or_else: another one, such as ``copy to another place``.
    """
    way = _WAYS_OUT.get(error.errno or 0, "")
    other = f", or {or_else}" if or_else else ""
    return f"{error.strerror}." + (f" {way}{other}." if way else "")
