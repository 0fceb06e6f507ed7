"""Uv: the program that resolves and installs packages."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from refrain.environments.requirements import without_logins
from refrain.errors import EnvironmentFailedError, UserError

OnLine = Callable[[str], None]
RunTool = Callable[[Sequence[str], Mapping[str, str], Path, OnLine], int]
"""Runs a program to its end, in a folder and with an environment, hands over its output, and returns its exit code."""

INSTALL_HINT = "pip install 'refrain[environments]'"
_NOT_PASSED_ON = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT")
_TAIL_LINES = 40
_LOOSEN = (
    "Loosen a requirement, name another version of Python, or set python.pins_override = True: then what you wrote "
    "rules over what packages ask for."
)
_HINTS = (
    (
        ("not found in the package registry", "not found in the provided package locations"),
        "Check the package's name; one that only another index has needs --index-url or --find-links.",
    ),
    (("no solution found", "unsatisfiable"), _LOOSEN),
    (
        ("failed to build", "no wheels with a matching"),
        "No wheel fits this Python, and the source does not build here. Choose a version that has a wheel.",
    ),
    (
        ("hash mismatch",),
        "A package is another one than when the environment was resolved. If that is right: refrain env build --renew.",
    ),
    (("couldn't parse", "failed to parse"), "Write each requirement as pip reads it, such as 'name==1.0'."),
)
"""What uv says when trying again cannot help, and the way out."""

_OTHER_HINT = "If the index cannot be reached: packages in a folder are found with the pip option --find-links."


@dataclass(frozen=True)
class Uv:
    """Calls of uv, which share its cache on this machine.

    :param cache: uv's own cache; one that ``UV_CACHE_DIR`` names is used instead.
    :param run: starts processes.
    """

    cache: Path
    run: RunTool

    def call(self, what: str, arguments: Sequence[str], folder: Path) -> None:
        """Run uv in *folder*, where its temporary files may be.

        :param what: what could not be done if it fails, for the message.
        :raises UserError: when what is asked for cannot be had, with what uv said.
        :raises EnvironmentFailedError: when it fails for another reason, or is not installed.
        """
        last: deque[str] = deque(maxlen=_TAIL_LINES)
        words = [find_uv(), *arguments, "--no-progress", "--color=never"]
        code = self.run(words, self._environment(), folder, lambda line: last.append(without_logins(line)))
        if code != 0:
            said = "\n".join(f"    {line}" for line in last) or f"    uv ended with code {code} and said nothing"
            hint = next((hint for words, hint in _HINTS if any(word in said.lower() for word in words)), "")
            raise (UserError if hint else EnvironmentFailedError)(f"{what}:\n{said}\n{hint or _OTHER_HINT}")

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
