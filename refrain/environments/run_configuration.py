"""RunConfiguration: how a step's process is set up, as users write it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from typing import Any

from refrain.environments.databricks import DatabricksSection
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import UserError


@dataclass
class PythonSection:
    """Which interpreter runs the script.

    :param interpreter_path: a path, or a name on ``PATH``; None means the one that runs Refrain.
    """

    interpreter_path: str | None = None
    user_managed_dependencies: bool = True


@dataclass
class Environment:
    """An environment that is already there: an interpreter, and variables for the process."""

    name: str = "user-managed"
    python: PythonSection = field(default_factory=PythonSection)
    environment_variables: dict[str, str] = field(default_factory=dict)
    databricks: DatabricksSection = field(default_factory=DatabricksSection)


class RunConfiguration:
    """Settings of a step's process; mutable, as in Azure ML, and read once when the pipeline is built."""

    def __init__(self) -> None:
        self.target: Any = None
        self.environment = Environment()
        self.environment_variables: dict[str, str] = {}

    def specification(self) -> EnvironmentSpec:
        """Return the settings as an immutable value.

        :raises UserError: for a variable that is no text, or an interpreter that does not exist.
        """
        variables = {**self.environment.environment_variables, **self.environment_variables}
        for name, value in variables.items():
            if not isinstance(name, str) or not name or "=" in name or "\0" in name:
                raise UserError(f"{name!r} cannot name an environment variable.")
            if not isinstance(value, str) or "\0" in value:
                raise UserError(f"The environment variable {name!r} must be a text without NUL, not {value!r}.")
        return EnvironmentSpec(self._interpreter(), tuple(sorted(variables.items())))

    def _interpreter(self) -> str | None:
        wanted = self.environment.python.interpreter_path
        if wanted is None:
            return None
        found = shutil.which(os.path.expanduser(wanted))
        if found is None:
            raise UserError(f"The interpreter_path {wanted!r} is no executable file, and no program on PATH.")
        return os.path.abspath(found)
