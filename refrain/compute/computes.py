"""Computes: finds out where a step runs, by the compute target that it names."""

from __future__ import annotations

import threading

from refrain.compute.job import Compute, Interruptible
from refrain.compute.kinds import kind
from refrain.compute.local import CANCEL_GRACE_SECONDS
from refrain.compute.target import THIS_MACHINE, Target, TargetTable
from refrain.storage.state import WorkspaceState


class Computes:
    """The compute targets of a workspace, each made ready on first use; safe to use from many threads.

    :param grace_seconds: how long a canceled job may take to end by itself.
    """

    def __init__(self, state: WorkspaceState, grace_seconds: float = CANCEL_GRACE_SECONDS) -> None:
        self._state = state
        self._grace_seconds = grace_seconds
        self._targets: dict[str, Target | None] = {}
        self._computes: dict[str, Compute] = {}
        self._lock = threading.Lock()

    def target(self, name: str | None) -> Target:
        """Return the target of this name; this machine for None, and for a name that the workspace does not know.

        Azure ML's pipelines name clusters that nobody has elsewhere. They run at once, and the platform's operators
        decide later what the name means.
        """
        return self._found(name) or THIS_MACHINE

    def remark(self, name: str | None) -> str:
        """Return what to say of a name that the workspace does not know; empty when there is nothing to say."""
        if name is None or self._found(name) is not None:
            return ""
        return f"compute target {name!r} is not registered in the workspace, so the step runs on {THIS_MACHINE.name}"

    def compute(self, name: str | None) -> Compute:
        """Return what runs the jobs of a step that names this target.

        :raises UserError: when no jobs run there, or what is needed for it is not installed here.
        :raises UnknownNameError: when the target is of a kind that nothing installed here has.
        """
        target = self.target(name)
        with self._lock:
            made = self._computes.get(target.name)
            if made is None:
                made = kind(target.kind).compute(target, self._state, self._grace_seconds)
                self._computes[target.name] = made
        return made

    def interrupt(self) -> None:
        """End what makes environments ready for steps that are canceled; nothing is made ready any more."""
        with self._lock:
            computes = list(self._computes.values())
        for compute in computes:
            if isinstance(compute, Interruptible):
                compute.interrupt()

    def _found(self, name: str | None) -> Target | None:
        if name is None:
            return None
        with self._lock:
            if name not in self._targets:
                self._targets[name] = TargetTable(self._state.registry).find(name)
            return self._targets[name]
