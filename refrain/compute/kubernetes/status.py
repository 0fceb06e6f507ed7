"""PodStatus: what the API says of a pod, and what that means in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refrain.compute.containers import KILLED, without_program
from refrain.compute.job import Job
from refrain.compute.kubernetes.settings import KubernetesSettings

_ENDED = ("Succeeded", "Failed")
_NEVER_STARTS = {
    "ErrImageNeverPull": "Check the name of the image.",
    "ImagePullBackOff": (
        "Check the name of the image; where its registry asks for a login, put that into a Secret of the namespace and "
        "name it in the target's setting registry_logins."
    ),
    "InvalidImageName": "Check the name of the image.",
    "CreateContainerConfigError": "The pod asks for what the namespace does not have, or the node does not allow.",
    "CreateContainerError": "The node cannot make the container.",
    "RunContainerError": "The node cannot start the container.",
}
"""Why a container waits that will not start by itself, and the way out."""

_NO_PROGRAM = ("executable file not found", "no such file or directory")
_SCHEDULING = (
    "Raise what the cluster has, or change the target's settings requests, limits, gpus, node_selector and "
    "tolerations; start_seconds says how long to wait."
)


@dataclass(frozen=True)
class PodStatus:
    """A pod at one moment; None stands for one that is not there.

    :param pod: as the official client gives it, in plain data.
    """

    pod: Mapping[str, Any] | None

    @property
    def is_there(self) -> bool:
        """Whether the cluster has it."""
        return self.pod is not None

    @property
    def has_started(self) -> bool:
        """Whether its container runs, or has run, so that there is a log."""
        return bool(self._container.keys() & {"running", "terminated"})

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs any more, and nothing will."""
        return not self.is_there or self._status.get("phase") in _ENDED

    @property
    def exit_code(self) -> int:
        """How its container ended; as killed where it never said so."""
        if self.is_there and self._status.get("phase") == "Succeeded":
            return 0
        return int(self._container.get("terminated", {}).get("exitCode") or KILLED)

    def obstacle(self, job: Job) -> str:
        """Say why the pod will not start, whatever is waited for; empty while it may."""
        waiting = self._container.get("waiting", {})
        reason, said = str(waiting.get("reason", "")), _sentence(waiting.get("message"))
        if reason not in _NEVER_STARTS:
            return ""
        if any(words in said for words in _NO_PROGRAM):
            return f"its container {without_program(job)}"
        return f"its pod does not start: {reason}{said}. {_NEVER_STARTS[reason]}"

    def delay(self, seconds: float) -> str:
        """Say why the pod has not started for so long."""
        conditions = self._status.get("conditions") or ()
        unscheduled = next(
            (c for c in conditions if c.get("type") == "PodScheduled" and c.get("status") == "False"), None
        )
        if unscheduled:
            return (
                f"its pod has found no node in {seconds:g} seconds: {unscheduled.get('reason', '')}"
                f"{_sentence(unscheduled.get('message'))}. {_SCHEDULING}"
            )
        waiting = self._container.get("waiting", {})
        reason = f"{waiting.get('reason', 'no reason is given')}{_sentence(waiting.get('message'))}"
        return (
            f"its pod has not started in {seconds:g} seconds: {reason}. Look at its events with kubectl, such as those "
            "of a claim that cannot be mounted; start_seconds says how long to wait."
        )

    def cause(self, job: Job, settings: KubernetesSettings) -> str:
        """Say why it ended as it did, where more is known than the code; empty otherwise."""
        if not self.is_there:
            return "its pod was deleted by somebody else. Run again."
        if self._status.get("phase") == "Succeeded":
            return ""
        ended = self._container.get("terminated", {})
        if ended.get("reason") == "OOMKilled":
            limit = settings.limits.get("memory")
            most = f"the {limit} of its compute target" if limit else "its node has"
            return (
                f"its pod needed more memory than {most}. Raise the target's setting limits (refrain compute set), "
                "or let the step use less."
            )
        said = _sentence(ended.get("message"))
        if ended.get("reason") in ("ContainerCannotRun", "StartError") and any(words in said for words in _NO_PROGRAM):
            return f"its container {without_program(job)}"
        if self._status.get("reason"):
            return (
                f"its pod was ended by the cluster: {self._status['reason']}{_sentence(self._status.get('message'))}."
            )
        return "" if ended else "its pod failed, and nothing says how. Its node may be lost. Run again."

    @property
    def _status(self) -> Mapping[str, Any]:
        return (self.pod or {}).get("status") or {}

    @property
    def _container(self) -> Mapping[str, Any]:
        found = self._status.get("containerStatuses")
        return (found[0].get("state") or {}) if found else {}


def _sentence(message: Any) -> str:
    """Return what was said, to go on with after a word; without a full stop."""
    text = str(message or "").strip().rstrip(".")
    return f", {text}" if text else ""
