"""NiceKind: this machine, at a lower priority."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from refrain.compute.job import Job
from refrain.compute.kinds import require_settings
from refrain.compute.local import LocalCompute
from refrain.compute.target import Target
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import UserError
from refrain.storage.state import WorkspaceState


class NiceCompute(LocalCompute):
    """Processes on this machine that leave the processor to others."""

    def __init__(self, grace_seconds: float, niceness: int) -> None:
        """Add *niceness* to the priority of each process."""
        super().__init__(grace_seconds)
        self._niceness = niceness

    def submit(self, job: Job) -> str:
        """See :meth:`refrain.compute.job.Compute.submit`."""
        return super().submit(replace(job, argv=("nice", "-n", str(self._niceness), *job.argv)))


class NiceKind:
    """See :class:`refrain.compute.kinds.TargetKind`."""

    def check(self, settings: Mapping[str, Any]) -> None:
        """See :class:`TargetKind`."""
        require_settings(settings, {"niceness": int})
        if not 0 <= settings.get("niceness", 10) <= 19:
            raise UserError(f"niceness must be from 0 to 19, not {settings['niceness']}.")

    def compute(self, target: Target, state: WorkspaceState, grace_seconds: float) -> NiceCompute:
        """See :class:`TargetKind`."""
        return NiceCompute(grace_seconds, target.settings.get("niceness", 10))

    def examine(self, target: Target, state: WorkspaceState) -> Iterator[str]:
        """See :class:`TargetKind`."""
        found = self.compute(target, state, 1.0).identify(EnvironmentSpec())
        yield f"{found.path} would run at niceness {target.settings.get('niceness', 10)}"
