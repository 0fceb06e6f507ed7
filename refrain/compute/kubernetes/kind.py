"""KubernetesKind: compute targets that are Kubernetes clusters."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from refrain.compute.containers import try_out
from refrain.compute.job import JobStatus
from refrain.compute.kinds import untried
from refrain.compute.kubernetes.client import SECONDS, answering, unless_gone
from refrain.compute.kubernetes.compute import KubernetesCompute
from refrain.compute.kubernetes.settings import KubernetesSettings
from refrain.compute.target import Target
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import ComputeError, StepFailedError, UserError
from refrain.storage.state import WorkspaceState

_TRIAL_SECONDS = 5.0
_RIGHTS = (
    ("create", "pods", ""),
    ("get", "pods", ""),
    ("list", "pods", ""),
    ("delete", "pods", ""),
    ("get", "pods", "log"),
    ("create", "secrets", ""),
    ("delete", "secrets", ""),
)
"""What steps need to be allowed: a verb, a resource and a part of it."""


class KubernetesKind:
    """See :class:`refrain.compute.kinds.TargetKind`. Its settings: :class:`KubernetesSettings`."""

    def check(self, settings: Mapping[str, Any]) -> None:
        """See :class:`TargetKind`."""
        KubernetesSettings.of(settings)

    def compute(self, target: Target, state: WorkspaceState, grace_seconds: float) -> KubernetesCompute:  # noqa: ARG002
        """See :class:`TargetKind`."""
        return KubernetesCompute(KubernetesSettings.of(target.settings), grace_seconds)

    def examine(self, target: Target, state: WorkspaceState) -> Iterator[str]:
        """See :class:`TargetKind`: a pod reads a file and writes one, where steps of the workspace work."""
        compute = self.compute(target, state, _TRIAL_SECONDS)
        image = compute.image(EnvironmentSpec())
        yield from _reached(compute)
        yield from _allowed(compute)
        yield from _claimed(compute)
        state.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="refrain-", dir=state.root) as folder:
            yield from _trial(compute, Path(folder), image)
        yield from untried(target)


def _reached(compute: KubernetesCompute) -> Iterator[str]:
    from kubernetes.client import VersionApi

    cluster = compute.settings.cluster
    with answering(cluster):
        version = VersionApi(compute.client).get_code(_request_timeout=SECONDS)
    yield f"the API server of {cluster} answers: version {version.git_version}"


def _allowed(compute: KubernetesCompute) -> Iterator[str]:
    from kubernetes.client import AuthorizationV1Api

    namespace, cluster = compute.settings.namespace, compute.settings.cluster
    api = AuthorizationV1Api(compute.client)
    missing = []
    for verb, resource, part in _RIGHTS:
        wanted = {"namespace": namespace, "verb": verb, "resource": resource, "subresource": part}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted},
        }
        with answering(cluster):
            answer = api.create_self_subject_access_review(review, _request_timeout=SECONDS)
        if not answer.status.allowed:
            missing.append(f"{verb} {resource}/{part}".rstrip("/"))
    if missing:
        raise ComputeError(
            f"In the namespace {namespace!r} this user may not {', '.join(missing)}. Let an administrator give it a "
            "role that may."
        )
    yield f"this user may create, follow and delete pods and secrets in the namespace {namespace!r}"


def _claimed(compute: KubernetesCompute) -> Iterator[str]:
    namespace = compute.settings.namespace
    for claim in compute.settings.claims:
        phase = None
        with answering(compute.settings.cluster), unless_gone():
            phase = compute.api.read_namespaced_persistent_volume_claim(
                claim.claim, namespace, _request_timeout=SECONDS
            ).status.phase
        if phase is None:
            raise UserError(
                f"There is no claim {claim.claim!r} in the namespace {namespace!r}. Create it, or correct the target's "
                "setting claims."
            )
        if not os.path.isdir(claim.path):
            raise UserError(
                f"The claim {claim.claim!r} is not at {claim.path!r} on this machine. Mount its volume there, or "
                "correct the target's setting claims."
            )
        yield f"the claim {claim.claim!r} is there ({phase}), and so is {claim.path}"


def _trial(compute: KubernetesCompute, folder: Path, image: str) -> Iterator[str]:
    python = compute.settings.python
    trial = try_out(compute, folder, python)
    if trial.result.status is not JobStatus.SUCCEEDED:
        raise StepFailedError(f"A pod was made and ended with exit code {trial.result.exit_code}: {trial.reason}")
    yield f"a pod was started with {image}, and its output arrived: {python} is Python {trial.said}"
    if not trial.written.is_file():
        raise ComputeError(
            f"What the pod wrote is not at {str(trial.written)!r}: the claim there is another volume than that of "
            "this machine. Correct the target's setting claims."
        )
    yield f"it read a file of {folder.parent} and wrote one"
    compute.end(trial.run_id)
    yield "the pod is gone"
