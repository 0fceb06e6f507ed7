"""Conda: packages of conda's channels, solved and installed by py-rattler where that is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refrain.environments.conda_client import ANSWER, REQUEST, UNSOLVABLE
from refrain.environments.interpreter import base_interpreter, describe
from refrain.environments.pythons import Python
from refrain.environments.requirements import normal, pypi_name, without_logins
from refrain.environments.specification import PackageSpec
from refrain.environments.uv import RunTool
from refrain.errors import EnvironmentFailedError, UserError

INSTALL_HINT = "pip install 'refrain[conda]'"
_CLIENT = "refrain.environments.conda_client"
_TAIL_LINES = 40
_FOR_PIP = frozenset({"pip", "setuptools", "wheel"})
"""What conda's environments list for pip's sake."""
_HINTS = {
    "solve": "Loosen a version, name another version of Python, or add the channel that has the package: "
    "conda_dependencies.add_channel('conda-forge').",
    "create": "If a file has changed on its channel: refrain env build --renew.",
}
_UNREACHABLE = (
    "If the channel cannot be reached, name one that can, such as 'file:///channels/ours', or name the packages "
    "as pip packages. CONDA_CHANNEL_ALIAS names another server, RATTLER_AUTH_FILE a file with logins."
)


@dataclass(frozen=True)
class Conda:
    """Calls of the conda client, which share its cache on this machine.

    :param cache: where packages and the indexes of channels are kept.
    :param run: starts processes.
    """

    cache: Path
    run: RunTool

    def solve(self, spec: PackageSpec) -> list[dict[str, Any]]:
        """Return the records of the packages that a specification needs, Python among them, sorted by name.

        :raises UserError: when they cannot be had together.
        :raises EnvironmentFailedError: when a channel cannot be read, or the client is not installed.
        """
        matches = [f"python{_condition(_wanted(spec))}", *(match for match in spec.conda if match.strip() != "pip")]
        asked = {"channels": spec.channels, "matches": matches}
        what = f"These conda packages cannot be had together: {', '.join(matches)}"
        return list(self._call("solve", what, asked))

    def create(self, records: Sequence[Mapping[str, Any]], folder: Path, final: Path) -> None:
        """Install packages into *folder*, which will be renamed to *final*; raises as :meth:`solve`."""
        asked = {"records": records, "folder": str(folder), "final": str(final)}
        self._call("create", "The environment's conda packages cannot be installed", asked)

    def _call(self, act: str, what: str, asked: Mapping[str, Any]) -> Any:
        if not is_installed():
            raise EnvironmentFailedError(f"{what}: py-rattler, which does so, is not installed: {INSTALL_HINT}.")
        said: deque[str] = deque(maxlen=_TAIL_LINES)
        with tempfile.TemporaryDirectory(prefix="refrain-conda-") as name:
            folder = Path(name)
            (folder / REQUEST).write_text(json.dumps({**asked, "cache": str(self.cache)}), encoding="utf-8")
            argv = [sys.executable, "-m", _CLIENT, act, name]
            code = self.run(argv, os.environ, folder, lambda line: said.append(without_logins(line)))
            if code == 0:
                return json.loads((folder / ANSWER).read_text(encoding="utf-8"))
        text = "\n".join(f"    {line}" for line in said if line.strip()) or f"    the client ended with code {code}"
        if code == UNSOLVABLE:
            raise UserError(f"{what}:\n{text}\n{_HINTS[act]}")
        raise EnvironmentFailedError(f"{what}:\n{text}\n{_UNREACHABLE if act == 'solve' else _HINTS[act]}")


def is_installed() -> bool:
    """Say whether conda's packages can be had here."""
    try:
        return importlib.util.find_spec("rattler") is not None
    except ValueError:  # hidden on purpose
        return False


def packages_of(spec: PackageSpec) -> list[str]:
    """Return the packages that a specification wants of conda, without those that are there for pip's sake."""
    return [match for match in spec.conda if match.strip().lower() not in _FOR_PIP]


def python_of(spec: PackageSpec) -> Python:
    """Return what stands for the Python that conda will bring, before it is known which."""
    return Python("", f"conda {_wanted(spec)}", describe(base_interpreter())[1])


def version_in(records: Iterable[Mapping[str, Any]]) -> str:
    """Return the version of the Python among packages, as an interpreter would say it."""
    found = next((record for record in records if record["name"] == "python"), None)
    if found is None:
        raise UserError("The conda packages bring no Python; without one, no script can run in them.")
    return f"{'PyPy' if 'pypy' in str(found.get('build')) else 'CPython'} {found['version']}"


def modules_of(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names, as PyPI has them, of those packages that may be modules of Python."""
    found = []
    for record in records:
        needed = {str(dependency).split()[0] for dependency in record.get("depends", ())}
        if record["name"] not in _FOR_PIP and needed & {"python", "python_abi"}:
            found.append(normal(pypi_name(str(record["name"]))))
    return found


def _wanted(spec: PackageSpec) -> str:
    """Return the version of Python that is asked for; where none is, that which runs Refrain."""
    return spec.python or ".".join(map(str, sys.version_info[:2]))


def _condition(version: str) -> str:
    return version if version[:1] in "<>=!~" else f"={version}"
