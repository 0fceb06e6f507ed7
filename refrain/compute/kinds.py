"""Kinds of compute targets: what the targets of one kind have in common, and where the kinds are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

from refrain.compute.job import Compute
from refrain.compute.target import Target
from refrain.errors import UnknownNameError, UserError, did_you_mean, known
from refrain.extensions import COMPUTE, installed, load, load_object
from refrain.storage.state import WorkspaceState

_OURS = {
    "dask": "refrain.compute.dask_kind:DaskKind",
    "databricks": "refrain.compute.databricks.kind:DatabricksKind",
    "docker": "refrain.compute.docker.kind:DockerKind",
    "kubernetes": "refrain.compute.kubernetes.kind:KubernetesKind",
    "local": "refrain.compute.local_kind:LocalKind",
    "spark": "refrain.compute.spark_kind:SparkKind",
}


class TargetKind(Protocol):
    """One kind of compute target; made once for each use, without arguments.

    Another package adds one by the entry point ``refrain.compute``, see :mod:`refrain.extensions`.
    """

    def check(self, settings: Mapping[str, Any]) -> None:
        """Refuse settings that no target of this kind can have.

        :raises UserError: naming the setting, its value and what it may be.
        """

    def compute(self, target: Target, state: WorkspaceState, grace_seconds: float) -> Compute:
        """Return what runs jobs there.

        :param grace_seconds: how long a canceled job may take to end by itself.
        :raises UserError: when no jobs run there, but only steps that are made for it, or a package is missing.
        """

    def examine(self, target: Target, state: WorkspaceState) -> Iterator[str]:
        """Try the target from end to end, and yield a sentence for each thing that works.

        :raises RefrainError: at the first that does not, saying what is wrong and what to do.
        """


def kinds() -> list[str]:
    """Return the names of all kinds, sorted."""
    return sorted({*_OURS, *installed(COMPUTE)})


def kind(name: str) -> TargetKind:
    """Return a kind by its name.

    :raises UnknownNameError: when no package that is installed here has it.
    """
    made = load_object(_OURS[name]) if name in _OURS else load(COMPUTE, name)
    if made is None:
        raise UnknownNameError(
            f"Unknown kind of compute target {name!r}. Known: {known(kinds())}.{did_you_mean(name, kinds())} "
            "Other kinds come with packages that must be installed wherever they are used."
        )
    return cast(TargetKind, made())


def check(target: Target) -> None:
    """Refuse a target that its kind cannot have.

    :raises UserError: naming the target.
    :raises UnknownNameError: when there is no such kind.
    """
    try:
        kind(target.kind).check(target.settings)
    except UserError as error:
        raise UserError(f"Compute target {target.name!r}: {error}") from error


def untried(target: Target) -> Iterator[str]:
    """Yield what the trial of a target leaves open, whatever its kind."""
    if target.queue:
        yield f"on Airflow, a worker of the queue {target.queue!r} takes its tasks; that was not tried from here"


def require_settings(settings: Mapping[str, Any], known_types: Mapping[str, type | tuple[type, ...]]) -> None:
    """Refuse settings that are not in a kind's list, or have a value of another type.

    :raises UserError: naming the setting.
    """
    for name, value in settings.items():
        if name not in known_types:
            raise UserError(
                f"there is no setting {name!r}. Known: {known(known_types)}.{did_you_mean(name, list(known_types))}"
            )
        wanted = known_types[name]
        types = wanted if isinstance(wanted, tuple) else (wanted,)
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            names = " or ".join(one.__name__ for one in types)
            raise UserError(f"the setting {name!r} must be of type {names}, not {value!r}.")
