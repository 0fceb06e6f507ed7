"""Manifest: a job as a pod, in plain data as Kubernetes' API takes it, and the Secret with what no pod may show."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import refrain
from refrain.compute.containers import environment
from refrain.compute.job import Job, JobPath
from refrain.compute.kubernetes.settings import Claim, KubernetesSettings
from refrain.errors import UserError, known
from refrain.storage.digest import digest_bytes

CONTAINER = "step"
"""The name of the container."""

LABEL = "refrain/run"
"""The label of what belongs to a step run."""

RUN_ID = "refrain/run-id"
"""The annotation with the whole id, which may be too long for a label."""

RUNTIME = str(Path(str(refrain.__file__)).parent / "runtime")
"""What runs inside a step's process. It comes with Refrain, which need be on no claim."""

_RUNTIME_COPY = "runtime"
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_NAME_DIGITS = 32
_SHORTEST_SECRET = 4
"""What is shorter is in many words by chance."""


@dataclass(frozen=True)
class Owner:
    """Whose process it is.

    :param groups: further groups.
    """

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    @classmethod
    def of(cls, settings: KubernetesSettings) -> Owner:
        """Return whom a target's settings name, or the user of this process."""
        if settings.user:
            uid, _, gid = settings.user.partition(":")
            return cls(int(uid), int(gid))
        return cls(os.geteuid(), os.getegid(), tuple(os.getgroups()))


def name_of(run_id: str) -> str:
    """Return the name of a step run's pod, and of its Secret: always the same, so that there are never two."""
    return f"refrain-{digest_bytes(run_id.encode())[:_NAME_DIGITS]}"


def label_of(run_id: str) -> str:
    """Return the value of the label: the id itself, where it can be one."""
    return run_id if _LABEL_VALUE.fullmatch(run_id) else digest_bytes(run_id.encode())[:_NAME_DIGITS]


def runtime_copy(job: Job) -> str:
    """Return where a job's own copy of our runtime is, for a pod that could not see it elsewhere."""
    return os.path.join(job.scratch or job.working_directory, _RUNTIME_COPY)


def needs_copy(paths: Sequence[JobPath], settings: KubernetesSettings) -> bool:
    """Say whether our runtime is on no claim, so that it must be copied to where the job works."""
    return any(path.source == RUNTIME for path in paths) and _claim_of(RUNTIME, settings.claims) is None


def secret(job: Job, settings: KubernetesSettings) -> dict[str, Any] | None:
    """Return the Secret with the secret variables of a job; None when it has none."""
    hidden = _hidden(job)
    if not hidden:
        return None
    data = {_key(n): base64.b64encode(value.encode()).decode() for n, value in enumerate(hidden.values())}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(job, settings),
        "type": "Opaque",
        "immutable": True,
        "data": data,
    }


def pod(
    job: Job, image: str, settings: KubernetesSettings, owner: Owner, mounted: Callable[[Path], Sequence[str]]
) -> dict[str, Any]:
    """Return the pod of a job.

    :param image: by its digest.
    :param mounted: tells the mount points at and below a folder of this machine.
    :raises UserError: when the pod could not see what the job needs, or would show a secret.
    """
    volumes, mounts = _volumes(job, settings, mounted)
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        # Variables of other services are none that the step declares.
        "enableServiceLinks": False,
        "automountServiceAccountToken": bool(settings.service_account),
        "securityContext": {
            "runAsUser": owner.uid,
            "runAsGroup": owner.gid,
            "supplementalGroups": [group for group in owner.groups if group != owner.gid],
        },
        "containers": [
            {
                "name": CONTAINER,
                "image": image,
                # As the command, so that what the image starts by itself takes no part in it.
                "command": [_plain(word) for word in _argv(job)],
                "workingDir": job.working_directory,
                "env": _env(job),
                "resources": _resources(settings),
                "volumeMounts": mounts,
                "securityContext": {"allowPrivilegeEscalation": False},
            }
        ],
        "volumes": volumes,
    }
    if settings.service_account:
        spec["serviceAccountName"] = settings.service_account
    if settings.registry_logins:
        spec["imagePullSecrets"] = [{"name": name} for name in settings.registry_logins]
    if settings.node_selector:
        spec["nodeSelector"] = dict(settings.node_selector)
    if settings.tolerations:
        spec["tolerations"] = [dict(one) for one in settings.tolerations]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _metadata(job, settings), "spec": spec}


def _metadata(job: Job, settings: KubernetesSettings) -> dict[str, Any]:
    return {
        "name": name_of(job.run_id),
        "namespace": settings.namespace,
        "labels": {**settings.labels, LABEL: label_of(job.run_id)},
        "annotations": {RUN_ID: job.run_id},
    }


def _argv(job: Job) -> tuple[str, ...]:
    if any(_shows(word, text) for text in job.secrets for word in job.argv):
        raise UserError(
            "An argument of the step holds a secret, which everybody who may see pods could read. Let the script take "
            "it from its environment variable."
        )
    return job.argv


def _hidden(job: Job) -> dict[str, str]:
    """Return the variables that hold a secret, in the order of their names."""
    variables = sorted(environment(job).items())
    return {
        name: value
        for name, value in variables
        if value in job.secrets or any(_shows(value, text) for text in job.secrets)
    }


def _shows(word: str, text: str) -> bool:
    return len(text) >= _SHORTEST_SECRET and text in word


def _key(number: int) -> str:
    """Return the key of a variable in the Secret; not every name of a variable could be one."""
    return f"variable-{number}"


def _env(job: Job) -> list[dict[str, Any]]:
    numbers = {name: number for number, name in enumerate(_hidden(job))}
    found: list[dict[str, Any]] = []
    for name, value in sorted(environment(job).items()):
        if name in numbers:
            reference = {"name": name_of(job.run_id), "key": _key(numbers[name])}
            found.append({"name": name, "valueFrom": {"secretKeyRef": reference}})
        else:
            found.append({"name": name, "value": _plain(value)})
    return found


def _plain(text: str) -> str:
    """Return a text that Kubernetes leaves as it is: in commands and variables it replaces ``$(NAME)``."""
    return text.replace("$", "$$")


def _resources(settings: KubernetesSettings) -> dict[str, Any]:
    return {name: dict(given) for name in ("requests", "limits") if (given := getattr(settings, name))}


def _volumes(
    job: Job, settings: KubernetesSettings, mounted: Callable[[Path], Sequence[str]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the volumes of a pod, and which paths of them its container sees."""
    paths = job.paths()
    is_copied = needs_copy(paths, settings)
    used: dict[str, str] = {}
    mounts = []
    for path in paths:
        source = runtime_copy(job) if is_copied and path.source == RUNTIME else path.source
        claim = _require_on_claim(source, settings.claims, mounted)
        volume = used.setdefault(claim.claim, f"claim-{len(used)}")
        mounts.append(_mount(path, source, claim, volume))
    volumes: list[dict[str, Any]] = [
        {"name": volume, "persistentVolumeClaim": {"claimName": claim}} for claim, volume in used.items()
    ]
    if settings.shm_size:
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": settings.shm_size}})
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108  # in there
    return volumes, mounts


def _mount(path: JobPath, source: str, claim: Claim, volume: str) -> dict[str, Any]:
    if ":" in path.path:
        raise UserError(
            f"The step needs {path.path!r}, and no path with a ':' can be mounted on Kubernetes. Rename it."
        )
    below = os.path.normpath(os.path.join(claim.sub_path, os.path.relpath(source, claim.path)))
    mount: dict[str, Any] = {"name": volume, "mountPath": path.path, "readOnly": not path.is_writable}
    return mount if below == "." else {**mount, "subPath": below}


def _claim_of(path: str, claims: Sequence[Claim]) -> Claim | None:
    holding = [claim for claim in claims if claim.holds(path)]
    return max(holding, key=lambda claim: len(claim.path), default=None)


def _require_on_claim(path: str, claims: Sequence[Claim], mounted: Callable[[Path], Sequence[str]]) -> Claim:
    claim = _claim_of(path, claims)
    if claim is None:
        raise UserError(
            f"The step needs {path!r}, which is on no claim of its compute target. Claims: "
            f"{known([claim.path for claim in claims])}. Add the claim that holds it to the setting claims (refrain "
            "compute set), or keep the workspace, its datastores and REFRAIN_CACHE on one of them."
        )
    for point in mounted(Path(claim.path)):
        if point != claim.path and (f"{path}/".startswith(f"{point}/") or point.startswith(f"{path}/")):
            raise UserError(
                f"The step needs {path!r}, and at {point!r} something else is mounted on this machine, which pods do "
                f"not see on the claim {claim.claim!r}. Make that a claim of its own, or, for inputs, leave "
                "REFRAIN_MOUNT out."
            )
    return claim
