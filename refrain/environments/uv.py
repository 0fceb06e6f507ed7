"""Uv: the program that resolves and installs packages."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from refrain.environments.requirements import without_logins
from refrain.errors import EnvironmentFailedError

OnLine = Callable[[str], None]
RunTool = Callable[[Sequence[str], Mapping[str, str], Path, OnLine], int]
"""Runs a program to its end, in a folder and with an environment, hands over its output, and returns its exit code."""

INSTALL_HINT = "pip install 'refrain[environments]'"
_NOT_PASSED_ON = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT")
_TAIL_LINES = 40


@dataclass(frozen=True)
class Uv:
    """Calls of uv, which share its cache on this machine.

    :param cache: uv's own cache; one that ``UV_CACHE_DIR`` names is used instead.
    :param run: starts processes.
    """

    cache: Path
    run: RunTool

    def call(self, what: str, arguments: Sequence[str], folder: Path, on_line: OnLine) -> None:
        """Run uv in *folder*, where its temporary files may be.

        :param what: what it is to do, for the message.
        :raises EnvironmentFailedError: when it fails, with what it said, or is not there.
        """
        last: deque[str] = deque(maxlen=_TAIL_LINES)

        def heard(line: str) -> None:
            text = without_logins(line)
            last.append(text)
            on_line(text)

        code = self.run([find_uv(), *arguments, "--no-progress", "--color=never"], self._environment(), folder, heard)
        if code != 0:
            said = "\n".join(f"    {line}" for line in last) or f"    uv ended with code {code} and said nothing"
            raise EnvironmentFailedError(f"{what}:\n{said}{_hint(said)}")

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
        return {"UV_CACHE_DIR": str(self.cache), "UV_PYTHON_DOWNLOADS": "never", **kept}


def find_uv() -> str:
    """Return the path of uv.

    :raises EnvironmentFailedError: when it is not installed.
    """
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise EnvironmentFailedError(f"An environment with packages needs uv, which is not installed: {INSTALL_HINT}.")
    return found


def _hint(said: str) -> str:
    text = said.lower()
    if "not found in the package registry" in text or "not found in the provided package locations" in text:
        return "\nCheck the package's name; one that only conda or another index has must come from there."
    if "no solution found" in text or "unsatisfiable" in text:
        return (
            "\nLoosen a requirement, name another version of Python, or set python.pins_override = True: then the "
            "versions that you wrote rule over what packages ask for."
        )
    if "failed to build" in text:
        return "\nNo wheel fits this Python, and the source does not build here. Choose a version that has a wheel."
    if any(word in text for word in ("failed to fetch", "dns error", "connect error", "timed out", "network")):
        return "\nThe index cannot be reached. Packages in a folder are found with the pip option --find-links."
    return ""
