"""Pythons: the interpreters that this machine has, to make environments of."""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Iterator

from refrain.environments.interpreter import base_interpreter, describe
from refrain.errors import UserError, known
from refrain.values import dataclass

OLDEST = (3, 8)
_NEWEST_TRIED = 15
_MANAGED = "uv/python/*/bin/python3"
_WANTED = re.compile(r"(?P<operator>==|=|>=|<=|!=|~=|>|<)?\s*(?P<version>\d+(?:\.\d+)*)(?P<rest>\.\*)?")


@dataclass(frozen=True)
class Python:
    """An interpreter that is installed here.

    :param version: as in :class:`refrain.environments.interpreter.InterpreterIdentity`.
    """

    path: str
    version: str
    platform: str

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers."""
        return numbers(self.version.rpartition(" ")[2])

    @property
    def minor(self) -> str:
        """Implementation and version without the patch level: ``CPython 3.11``."""
        return f"{self.version.rpartition(' ')[0]} {'.'.join(map(str, self.release[:2]))}"


def find_python(wanted: str) -> Python:
    """Return an installed interpreter of the wanted version, that which runs Refrain where it will do.

    Which patch level a version names (``3.8.13``) is not asked for: security fixes replace it on every machine. What is
    found counts in the fingerprint.

    :param wanted: see :class:`refrain.environments.specification.PackageSpec`.
    :raises UserError: when there is none, naming those that are there.
    """
    conditions = parse_wanted(wanted)
    seen: dict[str, Python] = {}
    for path in _candidates():
        try:
            python = Python(path, *describe(path))
        except UserError:
            continue  # a broken one is as good as none
        seen.setdefault(python.version, python)
        if all(_holds(python.release, *condition) for condition in conditions):
            return python
    raise UserError(
        f"The environment asks for Python {wanted}, which is not on this machine. There are: {known(seen)}. Install it "
        "('uv python install', your system's packages), name another version, or leave it out."
    )


def parse_wanted(wanted: str) -> list[tuple[str, tuple[int, ...]]]:
    """Return the conditions on a version of Python.

    :raises UserError: for what is none, and for versions that are too old.
    """
    conditions = []
    for part in filter(None, (part.strip() for part in wanted.split(","))):
        match = _WANTED.fullmatch(part)
        if match is None:
            raise UserError(f"{wanted!r} is no version of Python; write '3.9', or conditions such as '>=3.8,<3.11'.")
        operator = {None: "=", "==": "=", "~=": "="}.get(match["operator"], match["operator"])
        conditions.append((str(operator), numbers(match["version"])))
    for operator, version in conditions:
        if operator in ("=", "<", "<=") and (*version, 99)[:2] < OLDEST:
            raise UserError(
                f"The environment asks for Python {wanted}; {'.'.join(map(str, OLDEST))} is the oldest that can be "
                "used. Name a newer version; python.pins_override lets old pins of packages go with it."
            )
    return conditions


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


def _holds(release: tuple[int, ...], operator: str, version: tuple[int, ...]) -> bool:
    same = release[: len(version)]
    if operator == "=":
        return release[:2][: len(version)] == version[:2]
    if operator == "!=":
        return same != version
    if operator == ">":
        return same > version
    return {">=": same >= version, "<=": same <= version, "<": same < version}[operator]


def _candidates() -> Iterator[str]:
    yield base_interpreter()
    for minor in range(_NEWEST_TRIED, OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            yield found
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    managed = os.environ.get("UV_PYTHON_INSTALL_DIR")
    yield from sorted(glob.glob(f"{managed}/*/bin/python3" if managed else os.path.join(data, _MANAGED)), reverse=True)
