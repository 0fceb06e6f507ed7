"""DaskSettings: what a compute target of the kind ``dask`` says of where the nodes of parallel runs are."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refrain.compute.kinds import require_settings
from refrain.compute.target import Target
from refrain.errors import UserError

_TYPES: dict[str, type | tuple[type, ...]] = {
    "scheduler": str,
    "certificates": str,
    "python": str,
    "dispatcher_host": str,
    "resources": dict,
    "start_seconds": (int, float),
    "lost_seconds": (int, float),
    "description": str,
}
_ADDRESS = re.compile(r"(tcp|tls)://(\[[\da-fA-F:.]+\]|[^\s/:\[\]]+):\d+")
_CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")
_PASSED_ON = ("python", "dispatcher_host", "resources", "start_seconds", "lost_seconds")


@dataclass(frozen=True)
class DaskSettings:
    """Which cluster it is; steps of other kinds than parallel runs are processes of this machine.

    :param scheduler: the address of Dask's scheduler.
    :param certificates: the folder of ``ca.pem``, ``cert.pem`` and ``key.pem``, on all machines; empty for none.
    :param more: further settings, as :class:`refrain.runtime.parallel.nodes.order.Order` has them.
    """

    scheduler: str
    certificates: str
    more: Mapping[str, Any]

    @classmethod
    def parse(cls, settings: Mapping[str, Any]) -> DaskSettings:
        """Read settings.

        :raises UserError: naming the setting that cannot be right.
        """
        require_settings(settings, _TYPES)
        scheduler, certificates = settings.get("scheduler"), settings.get("certificates", "")
        if scheduler is None:
            raise UserError("the setting 'scheduler' is missing: the address of Dask's scheduler, as tcp://host:8786.")
        if not _ADDRESS.fullmatch(scheduler):
            raise UserError(
                f"the setting 'scheduler' {scheduler!r} is no address of Dask's scheduler, such as tcp://host:8786 or "
                "tls://host:8786."
            )
        if scheduler.startswith("tls:") != bool(certificates):
            raise UserError(
                f"the setting 'scheduler' {scheduler!r} and the setting 'certificates' {certificates!r} do not go "
                "together: tls:// needs certificates, and tcp:// uses none."
            )
        _check_paths(settings)
        _check_numbers(settings)
        return cls(scheduler, certificates, {name: settings[name] for name in _PASSED_ON if name in settings})

    def variables(self, name: str) -> dict[str, str]:
        """Return the environment variables by which a parallel run knows of it.

        :param name: the target's.
        """
        told = {"target": name, "scheduler": self.scheduler, "launcher": sys.executable, **self.more}
        if self.certificates:
            told["certificates"] = [os.path.join(self.certificates, file) for file in _CERTIFICATES]
        return {"REFRAIN_NODES": json.dumps(told)}


def settings_of(target: Target) -> DaskSettings:
    """Return the settings of a target.

    :raises UserError: naming the target, and the setting that cannot be right.
    """
    try:
        return DaskSettings.parse(target.settings)
    except UserError as error:
        raise UserError(f"Compute target {target.name!r}: {error}") from error


def _check_paths(settings: Mapping[str, Any]) -> None:
    for name in ("certificates", "python"):
        if settings.get(name) and not os.path.isabs(settings[name]):
            raise UserError(f"the setting {name!r} must be an absolute path, not {settings[name]!r}.")


def _check_numbers(settings: Mapping[str, Any]) -> None:
    for name in ("start_seconds", "lost_seconds"):
        if name in settings and not 0 < settings[name] < float("inf"):
            raise UserError(f"the setting {name!r} must be a number of seconds above 0, not {settings[name]!r}.")
    for name, amount in settings.get("resources", {}).items():
        if isinstance(amount, bool) or not isinstance(amount, int | float) or amount <= 0:
            raise UserError(f"the setting 'resources' must hold numbers above 0, not {amount!r} for {name!r}.")
