"""KubernetesCompute: runs a job in a pod, which has the job's folders under the same paths by its claims."""

from __future__ import annotations

import os
import shutil
import time
import weakref
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO

from refrain.compute.containers import as_signal, home
from refrain.compute.job import Job, JobResult, JobStatus, OnLine
from refrain.compute.kubernetes import leftovers, manifest
from refrain.compute.kubernetes.client import (
    SECONDS,
    answering,
    await_gone,
    connect,
    in_silence,
    patiently,
    refusal,
    remove_run,
    unless_gone,
)
from refrain.compute.kubernetes.settings import KubernetesSettings, require_digest
from refrain.compute.kubernetes.status import PodStatus
from refrain.compute.local import CANCEL_GRACE_SECONDS
from refrain.compute.output import OutputStream, open_log
from refrain.compute.results import JobResults
from refrain.compute.watchman import watchman
from refrain.environments.interpreter import InterpreterIdentity
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import RefrainError, UnknownNameError, UserError
from refrain.storage.views import mount_points

_POLL_SECONDS = 1.0
_SETTLE_SECONDS = 10.0
_REFUSED = range(400, 500)
_ARCHITECTURE = "kubernetes.io/arch"


@dataclass(frozen=True)
class _Running:
    job: Job
    log: BinaryIO


class KubernetesCompute:
    """Pods of a cluster. A job's id is the name of its pod, which is deleted when the job has ended.

    :param grace_seconds: how long a canceled process may take to end by itself.
    :param poll_seconds: how often a pod is looked at.
    """

    def __init__(
        self,
        settings: KubernetesSettings,
        grace_seconds: float = CANCEL_GRACE_SECONDS,
        poll_seconds: float = _POLL_SECONDS,
    ) -> None:
        self.settings = settings
        self._grace_seconds = grace_seconds
        self._poll_seconds = poll_seconds
        self._jobs: dict[str, _Running] = {}
        self._results = JobResults("pod")

    @cached_property
    def client(self) -> Any:
        """The connection to the cluster: the official client's ``ApiClient``.

        :raises UserError: when the settings lead to no cluster.
        """
        client = connect(self.settings.cluster)
        weakref.finalize(self, client.close)
        return client

    @property
    def api(self) -> Any:
        """The part of the API that knows pods."""
        from kubernetes.client import CoreV1Api

        return CoreV1Api(self.client)

    def identify(self, environment: EnvironmentSpec) -> InterpreterIdentity:
        """See :meth:`refrain.compute.job.Compute.identify`: an image is its digest, and the cluster is not asked."""
        python = self._python(environment)
        digest = self.image(environment).rpartition("@")[2]
        architecture = self.settings.node_selector.get(_ARCHITECTURE)
        platform = f"linux-{architecture}" if architecture else "linux"
        return InterpreterIdentity(python, f"{python} of image {digest}", platform, ())

    def image(self, environment: EnvironmentSpec) -> str:
        """Return the image of an environment.

        :raises UserError: when it has none, or one that would have to be built.
        """
        wanted = environment.image
        if environment.packages is not None or (wanted is not None and wanted.dockerfile):
            raise UserError(
                "Images are not built on Kubernetes. Build one with the packages that the step's environment asks for, "
                "push it to a registry, and name it by its digest (environment.docker.base_image, or the target's "
                "setting image)."
            )
        name = (wanted.name if wanted else "") or self.settings.image
        if not name:
            raise UserError(
                "Neither the step's environment nor its compute target names an image. Give the environment one "
                "(environment.docker.base_image), or the target (refrain compute set NAME kubernetes image=…)."
            )
        return require_digest(name)

    def prepare(self, environment: EnvironmentSpec, on_line: OnLine) -> str:  # noqa: ARG002  # nothing is made
        """See :meth:`refrain.compute.job.Compute.prepare`: nodes fetch images when a pod starts."""
        self.image(environment)
        return self._python(environment)

    def variables(self, environment: EnvironmentSpec, interpreter: str) -> dict[str, str]:  # noqa: ARG002
        """See :meth:`refrain.compute.job.Compute.variables`: the image has its own."""
        return {}

    def submit(self, job: Job) -> str:
        """See :meth:`refrain.compute.job.Compute.submit`.

        :raises UserError: when the pod could not see what the job needs, or the cluster refuses it.
        :raises StepFailedError: when the job's log cannot be written.
        """
        owner = manifest.Owner.of(self.settings)
        pod = manifest.pod(job, self.image(job.runs_in), self.settings, owner, mount_points)
        os.makedirs(home(job), exist_ok=True)
        if manifest.needs_copy(job.paths(), self.settings):
            copy = manifest.runtime_copy(job)
            shutil.copytree(manifest.RUNTIME, copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        log = open_log(job.log_path)
        # Before the start, so that no moment is left in which nobody knows of it.
        watchman().charge(job.run_id, leftovers.command(self.settings.cluster, self.settings.namespace, job.run_id))
        try:
            self._create(job, pod)
        except BaseException:
            log.close()
            self._remove(job.run_id, has_ended=False)
            raise
        job_id = manifest.name_of(job.run_id)
        self._jobs[job_id] = _Running(job, log)
        return job_id

    def status(self, job_id: str) -> JobStatus:
        """See :meth:`refrain.compute.job.Compute.status`."""
        ended = self._results.find(job_id)
        if ended is not None:
            return ended.status
        found = self._look(job_id)
        return self._results.status(job_id, found.exit_code) if found.has_ended else JobStatus.RUNNING

    def wait(self, job_id: str, on_line: OnLine) -> JobResult:
        """See :meth:`refrain.compute.job.Compute.wait`.

        :raises UnknownNameError: for a job of another process.
        :raises ComputeError: when the cluster does not answer any more.
        """
        if job_id not in self._jobs:
            raise UnknownNameError(f"The pod {job_id!r} was not started from here.")
        running = self._jobs[job_id]
        stream = OutputStream(running.log, on_line, running.job.secrets)
        try:
            with running.log:
                result = self._followed(job_id, running.job, stream)
                stream.close()
        finally:
            self._remove(running.job.run_id)
        self._results.keep(job_id, result)
        del self._jobs[job_id]
        return result

    def result(self, job_id: str) -> JobResult:
        """See :meth:`refrain.compute.job.Compute.result`.

        :raises UnknownNameError: for a job of another process, or one that was not waited for.
        """
        return self._results.get(job_id)

    def cancel(self, job_id: str) -> None:
        """See :meth:`refrain.compute.job.Compute.cancel`: the pod is deleted, which sends SIGTERM, then SIGKILL."""
        running = self._jobs.get(job_id)
        if running is None:
            return
        self._results.cancel(job_id)
        with suppress(RefrainError):
            self._end(running.job.run_id, self._grace_seconds)

    def end(self, run_id: str) -> None:
        """See :meth:`refrain.compute.job.Compute.end`."""
        self._end(run_id, 0)

    def _end(self, run_id: str, grace_seconds: float) -> None:
        namespace = self.settings.namespace
        with answering(self.settings.cluster):
            remove_run(self.client, namespace, run_id, grace_seconds)
            await_gone(self.client, namespace, run_id)

    def _python(self, environment: EnvironmentSpec) -> str:
        return environment.interpreter or self.settings.python

    def _create(self, job: Job, pod: dict[str, Any]) -> None:
        from kubernetes.client import ApiException

        secret = manifest.secret(job, self.settings)
        with answering(self.settings.cluster):
            try:
                if secret is not None:
                    in_silence(self.api.create_namespaced_secret, self.settings.namespace, secret)
                self.api.create_namespaced_pod(self.settings.namespace, pod, _request_timeout=SECONDS)
            except ApiException as error:
                if error.status not in _REFUSED or error.status in (401, 403, 429):
                    raise
                raise UserError(
                    f"The cluster does not take the pod: {refusal(error)}. Correct the target's settings (refrain "
                    "compute set)."
                ) from error

    def _look(self, job_id: str) -> PodStatus:

        def ask(**options: Any) -> PodStatus:
            with unless_gone():
                found = self.api.read_namespaced_pod(job_id, self.settings.namespace, **options)
                return PodStatus(self.client.sanitize_for_serialization(found))
            return PodStatus(None)

        found: PodStatus = patiently(self.settings.cluster, ask)
        return found

    def _followed(self, job_id: str, job: Job, stream: OutputStream) -> JobResult:
        """Follow a pod from its start to its end."""
        found, cause = self._started(job_id, job)
        if cause:
            self._remove(job.run_id, has_ended=False)
        else:
            for chunk in self._output(job_id):
                stream.feed(chunk)
            found = self._look(job_id)
        code = found.exit_code
        if code and not cause and not self._results.is_canceled(job_id):
            cause = found.cause(job, self.settings)
        return JobResult(self._results.status(job_id, code), as_signal(code), cause)

    def _started(self, job_id: str, job: Job) -> tuple[PodStatus, str]:
        """Wait until a pod has started; return why it will not, too, where it will not."""
        seconds = self.settings.start_seconds
        deadline = time.monotonic() + seconds
        while True:
            found = self._look(job_id)
            if found.has_started or found.has_ended:
                return found, ""
            obstacle = found.obstacle(job) or (found.delay(seconds) if time.monotonic() > deadline else "")
            if obstacle:
                return found, obstacle
            time.sleep(self._poll_seconds)

    def _output(self, job_id: str) -> Iterator[bytes]:
        """Yield what a pod writes, to its end.

        Where the connection is lost, lines of the last second before may come twice, and none is left out.
        """
        from urllib3.exceptions import HTTPError

        since: int | None = None
        while True:
            is_whole = False
            with suppress(HTTPError, OSError):
                yield from self._log(job_id, since)
                is_whole = True
            lost = time.monotonic()
            if self._ends(job_id) and is_whole:
                return
            since = int(time.monotonic() - lost) + 1

    def _log(self, job_id: str, since: int | None) -> Iterator[bytes]:
        def ask(**options: Any) -> Any:
            with unless_gone():
                return self.api.read_namespaced_pod_log(
                    job_id,
                    self.settings.namespace,
                    container=manifest.CONTAINER,
                    follow=True,
                    _preload_content=False,
                    **options,
                )
            return None

        options = {} if since is None else {"since_seconds": since}
        answer = patiently(self.settings.cluster, ask, _request_timeout=(SECONDS[0], None), **options)
        if answer is not None:
            with closing(answer):
                yield from answer.stream(decode_content=True)

    def _ends(self, job_id: str) -> bool:
        """Say whether a pod whose output has ended ends as well, which the cluster tells a little later."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while not self._look(job_id).has_ended:
            if time.monotonic() > deadline:
                return False
            time.sleep(self._poll_seconds)
        return True

    def _remove(self, run_id: str, has_ended: bool = True) -> None:
        """Delete a pod; where that fails, the guard tries again when this process ends."""
        with suppress(RefrainError):
            if has_ended:
                with answering(self.settings.cluster):
                    remove_run(self.client, self.settings.namespace, run_id)
            else:
                self.end(run_id)
            watchman().discharge(run_id)
