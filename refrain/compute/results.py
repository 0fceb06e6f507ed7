"""JobResults: how the jobs of a compute target have ended, and which of them somebody canceled."""

from __future__ import annotations

from refrain.compute.job import JobResult, JobStatus
from refrain.errors import UnknownNameError


class JobResults:
    """What one compute target remembers of its jobs.

    :param what: a job's name in messages, such as ``container``.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._results: dict[str, JobResult] = {}
        self._canceled: set[str] = set()

    def find(self, job_id: str) -> JobResult | None:
        """Return how a job has ended; None when it was not waited for."""
        return self._results.get(job_id)

    def get(self, job_id: str) -> JobResult:
        """Return how a job has ended.

        :raises UnknownNameError: for a job of another process, or one that was not waited for.
        """
        if job_id not in self._results:
            raise UnknownNameError(f"The {self._what} {job_id!r} was not waited for here.")
        return self._results[job_id]

    def keep(self, job_id: str, result: JobResult) -> JobResult:
        """Remember how a job has ended, and return it."""
        self._results[job_id] = result
        return result

    def cancel(self, job_id: str) -> None:
        """Note that somebody ends a job."""
        self._canceled.add(job_id)

    def is_canceled(self, job_id: str) -> bool:
        """Say whether somebody ended a job."""
        return job_id in self._canceled

    def status(self, job_id: str, code: int) -> JobStatus:
        """Return what an exit code says of a job."""
        if code == 0:
            return JobStatus.SUCCEEDED
        return JobStatus.CANCELED if self.is_canceled(job_id) else JobStatus.FAILED
