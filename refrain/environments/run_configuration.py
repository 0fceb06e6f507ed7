"""RunConfiguration: how a step's process is set up, as users write it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from refrain.environments.specification import EnvironmentSpec
from refrain.errors import UserError


@dataclass
class PythonSection:
    """Which interpreter runs the script. None means the one that runs Refrain."""

    interpreter_path: str | None = None
    user_managed_dependencies: bool = True


@dataclass
class Environment:
    """An environment that is already there: an interpreter, and variables for the process."""

    name: str = "user-managed"
    python: PythonSection = field(default_factory=PythonSection)
    environment_variables: dict[str, str] = field(default_factory=dict)


class RunConfiguration:
    """Settings of a step's process; mutable, as in Azure ML, and read once when the pipeline is built."""

    def __init__(self) -> None:
        self.target: str | None = None
        self.environment = Environment()
        self.environment_variables: dict[str, str] = {}

    def specification(self) -> EnvironmentSpec:
        """Return the settings as an immutable value.

        :raises UserError: for a variable that is no text, or an interpreter that does not exist.
        """
        interpreter = self.environment.python.interpreter_path
        if interpreter is not None and not os.access(interpreter, os.X_OK):
            raise UserError(f"The interpreter_path {interpreter!r} is no executable file.")
        variables = {**self.environment.environment_variables, **self.environment_variables}
        for name, value in variables.items():
            if not (isinstance(name, str) and isinstance(value, str)) or not name or "=" in name or "\0" in name + value:
                raise UserError(f"The environment variable {name!r} must be a name and a text, not {type(value).__name__}.")
        return EnvironmentSpec(interpreter, tuple(sorted(variables.items())))
