"""DockerSettings: what a compute target of the kind ``docker`` says."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from refrain.compute.kinds import require_settings
from refrain.errors import UserError, known

_TYPES: dict[str, type | tuple[type, ...]] = {
    "image": str,
    "python": str,
    "engine": str,
    "certificates": str,
    "conn_id": str,
    "pull": str,
    "memory": (str, int),
    "cpus": (int, float),
    "gpus": (str, int),
    "shm_size": (str, int),
    "network": str,
    "user": str,
    "mounts": list,
    "init": bool,
}
_SIZE = re.compile(r"\d+[bkmg]?", re.IGNORECASE)
_SIZES = ("memory", "shm_size")


class Pull(Enum):
    """When an image is fetched from its registry."""

    MISSING = "missing"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True)
class Engine:
    """Which Docker engine it is, and which connection it logs in to a registry with.

    :param address: as ``DOCKER_HOST``, which it is when empty, or else the engine of this machine.
    :param certificates: a folder with ``ca.pem``, ``cert.pem`` and ``key.pem``; empty for an engine without TLS.
    :param conn_id: of an Airflow connection to a registry.
    """

    address: str = ""
    certificates: str = ""
    conn_id: str = ""

    def __str__(self) -> str:
        return self.address or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


@dataclass(frozen=True)
class DockerSettings:
    """How containers are made.

    :param image: for steps whose environment names none.
    :param python: the interpreter in the image.
    :param memory: bytes, or a number with one of the letters k, m and g; empty for no limit.
    :param cpus: how many processors; 0 for no limit.
    :param gpus: ``all``, how many, or the ids of devices, divided by commas; empty for none.
    :param user: as Docker's ``--user``; empty means that of this process, so that it owns the results.
    :param mounts: more folders, each as ``source``, ``source:target`` or ``source:target:ro``.
    :param init: start Docker's init first, which passes signals on and takes in orphans.
    """

    image: str = ""
    python: str = "python"
    engine: Engine = Engine()
    pull: Pull = Pull.MISSING
    memory: str = ""
    cpus: float = 0
    gpus: str = ""
    shm_size: str = ""
    network: str = ""
    user: str = ""
    mounts: tuple[tuple[str, str, bool], ...] = ()
    init: bool = True

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> DockerSettings:
        """Read the settings of a target.

        :raises UserError: naming the setting, its value and what it may be.
        """
        require_settings(settings, _TYPES)
        for name in _SIZES:
            _require_size(name, settings.get(name, 1))
        engine = Engine(*(settings.get(name, "") for name in ("engine", "certificates", "conn_id")))
        texts = {n: str(settings[n]) for n in ("image", "python", "network", "user", *_SIZES, "gpus") if n in settings}
        return cls(
            **texts,
            engine=engine,
            pull=_pull(settings.get("pull", Pull.MISSING.value)),
            cpus=_cpus(settings.get("cpus", 0)),
            mounts=tuple(map(_mount, settings.get("mounts", ()))),
            init=settings.get("init", True),
        )


def _pull(text: str) -> Pull:
    values = [pull.value for pull in Pull]
    if text not in values:
        raise UserError(f"the setting 'pull' must be one of {known(values)}, not {text!r}.")
    return Pull(text)


def _require_size(name: str, value: str | int) -> None:
    if not _SIZE.fullmatch(str(value)):
        raise UserError(f"the setting {name!r} must be a number of bytes, such as 512m or 8g, not {value!r}.")


def _cpus(value: float) -> float:
    if value < 0:
        raise UserError(f"the setting 'cpus' must be a number of processors above 0, such as 1.5, not {value!r}.")
    return value


def _mount(text: Any) -> tuple[str, str, bool]:
    source, _, rest = str(text).partition(":")
    target, _, mode = rest.partition(":")
    target = target or source
    if not (os.path.isabs(source) and os.path.isabs(target)) or mode not in ("", "ro", "rw"):
        raise UserError(
            f"the setting 'mounts' must be a list of absolute paths, each as source, source:target or "
            f"source:target:ro, not {text!r}."
        )
    return source, target, mode != "ro"
