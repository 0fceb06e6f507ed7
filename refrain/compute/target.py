"""Target: what the name of a compute target stands for in a workspace, and where these names are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from refrain.errors import UnknownNameError, UserError, WorkspaceSchemaError, did_you_mean, known
from refrain.storage.connections import is_secret_name
from refrain.storage.registry import Registry
from refrain.values import dataclass

LOCAL = "local"

_KIND = "compute"
_SCHEMA = 1


@dataclass(frozen=True)
class Target:
    """A compute target.

    :param kind: the registered kind, such as ``local`` or ``docker``, see :mod:`refrain.compute.kinds`.
    :param settings: what the kind takes, as JSON values, none of them secret.
    :param queue: Airflow's queue for the tasks of its steps.
    :param pool: Airflow's pool for them.
    """

    name: str
    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None
    pool: str | None = None


THIS_MACHINE = Target("this machine", LOCAL)
"""Where a step runs that names no compute target."""


class TargetTable:
    """The compute targets of a workspace. The platform's operators decide here what a name in a pipeline means."""

    def __init__(self, registry: Registry) -> None:
        """Keep them in *registry*."""
        self._registry = registry

    def find(self, name: str) -> Target | None:
        """Return the target of this name, or None.

        :raises WorkspaceSchemaError: when a newer Refrain registered it.
        """
        return self._registry.read(_KIND, name, lambda record: _parse(name, record))

    def get(self, name: str) -> Target:
        """Return the target of this name.

        :raises UnknownNameError: when there is none.
        """
        found = self.find(name)
        if found is None:
            names = self.names()
            raise UnknownNameError(
                f"Unknown compute target {name!r}. Known: {known(names)}.{did_you_mean(name, names)} "
                "Register one with: refrain compute set NAME KIND"
            )
        return found

    def put(self, target: Target) -> None:
        """Register a target, in the place of one of the same name; its settings must have been checked.

        :raises UserError: for a name that cannot be one, and for a setting that is secret by its name.
        """
        secrets = [name for name in target.settings if is_secret_name(name)]
        if secrets:
            raise UserError(
                f"The setting {known(secrets)} of compute target {target.name!r} is secret and must not be stored in "
                "the workspace. Keep it in an Airflow connection (or AIRFLOW_CONN_<ID>), and set conn_id."
            )
        airflow = {name: value for name, value in (("queue", target.queue), ("pool", target.pool)) if value}
        record = {"schema": _SCHEMA, "kind": target.kind, "settings": dict(target.settings), **airflow}
        self._registry.add(_KIND, target.name, record)

    def remove(self, name: str) -> None:
        """Forget a target.

        :raises UnknownNameError: when there is none.
        """
        self.get(name)
        self._registry.remove(_KIND, name)

    def names(self) -> list[str]:
        """Return the names of all targets, sorted."""
        return [name for name in self._registry.names(_KIND) if self._registry.versions(_KIND, name)]


def _parse(name: str, record: Mapping[str, Any]) -> Target:
    if record["schema"] > _SCHEMA:
        raise WorkspaceSchemaError(f"A newer Refrain registered the compute target {name!r}; upgrade Refrain.")
    return Target(name, record["kind"], dict(record["settings"]), record.get("queue"), record.get("pool"))
