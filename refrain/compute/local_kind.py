"""LocalKind: compute targets that are this machine, or whichever machine Airflow gives the task to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refrain.compute.job import Job, JobStatus
from refrain.compute.kinds import require_settings, untried
from refrain.compute.local import LocalCompute
from refrain.compute.target import Target
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import StepFailedError
from refrain.storage.state import WorkspaceState, cache_folder

if TYPE_CHECKING:
    from refrain.environments.environments import Environments
    from refrain.environments.uv import RunTool

_TRIAL_SECONDS = 5.0
_NOTED = {
    "vm_size": str,
    "vm_priority": str,
    "min_nodes": int,
    "max_nodes": int,
    "description": str,
}
"""What Azure ML's pipelines say of their clusters; kept, and shown to whoever decides what the name means here."""


class LocalKind:
    """See :class:`refrain.compute.kinds.TargetKind`. Its settings are remarks; a queue decides which machine it is."""

    def check(self, settings: Mapping[str, Any]) -> None:
        """See :class:`TargetKind`."""
        require_settings(settings, _NOTED)

    def compute(self, target: Target, state: WorkspaceState, grace_seconds: float) -> LocalCompute:  # noqa: ARG002  # all are this machine
        """See :class:`TargetKind`."""
        return LocalCompute(grace_seconds, environments_of(state))

    def examine(self, target: Target, state: WorkspaceState) -> Iterator[str]:
        """See :class:`TargetKind`."""
        import tempfile

        compute = self.compute(target, state, _TRIAL_SECONDS)
        identity = compute.identify(EnvironmentSpec())
        yield f"{identity.path} is {identity.version} on {identity.platform}, with {len(identity.packages)} packages"
        with tempfile.TemporaryDirectory(prefix="refrain-") as folder:
            log = os.path.join(folder, "log.txt")
            argv = (sys.executable, "-c", "print('works')")
            job_id = compute.submit(Job(f"trial-{os.getpid()}", argv, folder, dict(os.environ), log))
            result = compute.wait(job_id, lambda _: None)
            said = Path(log).read_text(encoding="utf-8", errors="replace").strip()
        if result.status is not JobStatus.SUCCEEDED or said != "works":
            raise StepFailedError(f"A process was started and ended with exit code {result.exit_code}: {said or '-'}.")
        yield "a process was started, and its output arrived"
        yield from untried(target)


def environments_of(state: WorkspaceState) -> Callable[[RunTool], Environments]:
    """Return what makes the environments of a workspace on this machine."""

    def made(run: RunTool) -> Environments:
        from refrain.environments.environments import Environments

        return Environments(state.registry, cache_folder(), run)

    return made
