"""KubernetesSettings: what a compute target of the kind ``kubernetes`` says."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from refrain.compute.kinds import require_settings
from refrain.errors import UserError, did_you_mean, known

_TYPES: dict[str, type | tuple[type, ...]] = {
    "image": str,
    "python": str,
    "namespace": str,
    "claims": list,
    "service_account": str,
    "registry_logins": list,
    "requests": dict,
    "limits": dict,
    "gpus": int,
    "shm_size": (str, int),
    "node_selector": dict,
    "tolerations": list,
    "labels": dict,
    "user": str,
    "start_seconds": (int, float),
    "conn_id": str,
    "config_file": str,
    "context": str,
    "in_cluster": bool,
}
_CLAIM = {"claim": str, "path": str, "sub_path": str}
_TOLERATION = {"key": str, "operator": str, "value": str, "effect": str, "tolerationSeconds": int}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_BY_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")
_USER = re.compile(r"[0-9]+:[0-9]+")
_GPU = "nvidia.com/gpu"
_OURS = "refrain/"


@dataclass(frozen=True)
class Cluster:
    """Which cluster it is. Where nothing is said, it is that of ``KUBECONFIG`` or of ``~/.kube/config``.

    :param conn_id: of an Airflow connection to it.
    :param config_file: a file as ``KUBECONFIG`` names one.
    :param context: one of the contexts there.
    :param in_cluster: this process is itself in a pod of the cluster.
    """

    conn_id: str = ""
    config_file: str = ""
    context: str = ""
    in_cluster: bool = False

    def __str__(self) -> str:
        if self.in_cluster:
            return "the cluster of this pod"
        if self.conn_id:
            return f"the cluster of the connection {self.conn_id!r}"
        file = self.config_file or os.environ.get("KUBECONFIG") or "~/.kube/config"
        return f"the cluster of {file}" + (f", context {self.context!r}" if self.context else "")


@dataclass(frozen=True)
class Claim:
    """A PersistentVolumeClaim that this machine and the pods see at one path.

    :param sub_path: the folder of the volume that is there; empty for all of it.
    """

    claim: str
    path: str
    sub_path: str = ""

    def holds(self, path: str) -> bool:
        """Say whether a path of this machine is on it."""
        return f"{path}/".startswith(f"{self.path}/")


@dataclass(frozen=True)
class KubernetesSettings:
    """How pods are made.

    :param image: for steps whose environment names none; by its digest.
    :param python: the interpreter in the image.
    :param registry_logins: names of Secrets with the logins of registries (``imagePullSecrets``).
    :param user: ``uid:gid``; empty means those of this process, so that it owns the results.
    :param shm_size: of ``/dev/shm``; empty for what the cluster gives, which is 64 MiB.
    :param start_seconds: how long a pod may take to start, of which much is waiting for a node.
    """

    image: str = ""
    python: str = "python"
    namespace: str = "default"
    claims: tuple[Claim, ...] = ()
    service_account: str = ""
    registry_logins: tuple[str, ...] = ()
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    shm_size: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    start_seconds: float = 600
    cluster: Cluster = Cluster()

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> KubernetesSettings:
        """Read the settings of a target.

        :raises UserError: naming the setting, its value and what it may be.
        """
        require_settings(settings, _TYPES)
        given = dict(settings)
        _require_one_cluster(given)
        cluster = Cluster(
            **{name: given.pop(name) for name in ("conn_id", "config_file", "context", "in_cluster") if name in given}
        )
        gpus = given.pop("gpus", 0)
        read = {name: _READ[name](name, value) if name in _READ else value for name, value in given.items()}
        if gpus:
            read["limits"] = {**read.get("limits", {}), _GPU: _gpus(gpus)}
        _require_apart(read.get("claims", ()))
        return cls(**read, cluster=cluster)


def require_digest(image: str) -> str:
    """Return an image's name if it says by its digest which image it is.

    :raises UserError: when it does not.
    """
    if not _BY_DIGEST.fullmatch(image):
        raise UserError(
            f"An image on Kubernetes must be named by its digest, not {image!r}: what a tag means when a pod starts "
            "cannot be known before. Write name@sha256:…, as docker inspect --format '{{index .RepoDigests 0}}' "
            "shows it."
        )
    return image


def _require_one_cluster(settings: Mapping[str, Any]) -> None:
    ways = [name for name in ("conn_id", "config_file", "in_cluster") if settings.get(name)]
    if len(ways) > 1 or (settings.get("in_cluster") and settings.get("context")):
        raise UserError(
            f"the settings {known(ways if len(ways) > 1 else ['in_cluster', 'context'])} name a cluster each. Keep one "
            "of them."
        )


def _image(_: str, value: str) -> str:
    return require_digest(value) if value else value


def _name(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise UserError(
            f"the setting {name!r} must be a name as Kubernetes has them: small letters, digits, '-' and '.', not "
            f"{value!r}."
        )
    return value


def _names(name: str, values: Sequence[Any]) -> tuple[str, ...]:
    return tuple(_name(name, value) for value in values)


def _quantity(name: str, value: Any) -> str:
    if isinstance(value, bool) or not _QUANTITY.fullmatch(str(value)):
        raise UserError(
            f"the setting {name!r} must be a quantity as Kubernetes has them, such as 500m, 2 or 8Gi, not {value!r}."
        )
    return str(value)


def _quantities(name: str, values: Mapping[str, Any]) -> dict[str, str]:
    return {resource: _quantity(f"{name}: {resource}", value) for resource, value in values.items()}


def _gpus(value: int) -> str:
    if value < 0:
        raise UserError(f"the setting 'gpus' must be a number of GPUs, not {value!r}.")
    return str(value)


def _labels(name: str, values: Mapping[str, Any]) -> dict[str, str]:
    for key, value in values.items():
        if not _LABEL_KEY.fullmatch(key) or not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
            raise UserError(
                f"the setting {name!r} must hold labels as Kubernetes has them: letters, digits, '-', '_' and '.', at "
                f"most 63, not {key!r}: {value!r}."
            )
        if key.startswith(_OURS) and name == "labels":
            raise UserError(
                f"the setting 'labels' must leave labels that begin with {_OURS!r} to Refrain, not {key!r}."
            )
    return dict(values)


def _tolerations(name: str, values: Sequence[Any]) -> tuple[Mapping[str, Any], ...]:
    return tuple(_record(name, value, _TOLERATION) for value in values)


def _claims(name: str, values: Sequence[Any]) -> tuple[Claim, ...]:
    return tuple(_claim(name, value) for value in values)


def _claim(name: str, value: Any) -> Claim:
    given = _record(name, value, _CLAIM)
    path, below = given.get("path", ""), given.get("sub_path", "")
    if not os.path.isabs(path) or os.path.normpath(path) != path or path == "/" or ":" in path:
        raise UserError(
            f"the setting {name!r} must say with 'path' at which folder this machine and the pods see the claim, "
            f"such as /mnt/lake, not {value!r}."
        )
    if below and (os.path.isabs(below) or os.path.normpath(below) != below or below.startswith("..")):
        raise UserError(f"the setting {name!r}: a 'sub_path' is a folder within the volume, not {below!r}.")
    return Claim(_name(f"{name}: claim", given.get("claim")), path, below)


def _record(name: str, value: Any, types: Mapping[str, type]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"the setting {name!r} must be a list of records with {known(types)}, not of {value!r}.")
    for key, one in value.items():
        if key not in types:
            raise UserError(
                f"the setting {name!r} has no {key!r}. Known: {known(types)}.{did_you_mean(key, list(types))}"
            )
        if not isinstance(one, types[key]) or isinstance(one, bool):
            raise UserError(f"the setting {name!r}: {key!r} must be of type {types[key].__name__}, not {one!r}.")
    return value


def _require_apart(claims: Sequence[Claim]) -> None:
    paths = [claim.path for claim in claims]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise UserError(f"the setting 'claims' names the path {twice!r} twice. Keep one claim for it.")


def _user(name: str, value: str) -> str:
    if value and not _USER.fullmatch(value):
        raise UserError(f"the setting {name!r} must be two numbers, uid:gid, such as 1000:1000, not {value!r}.")
    return value


def _seconds(name: str, value: float) -> float:
    if value <= 0:
        raise UserError(f"the setting {name!r} must be a number of seconds above 0, not {value!r}.")
    return value


_READ: Mapping[str, Callable[[str, Any], Any]] = {
    "image": _image,
    "namespace": _name,
    "claims": _claims,
    "service_account": _name,
    "registry_logins": _names,
    "requests": _quantities,
    "limits": _quantities,
    "shm_size": _quantity,
    "node_selector": _labels,
    "tolerations": _tolerations,
    "labels": _labels,
    "user": _user,
    "start_seconds": _seconds,
}
