"""ScriptRunConfig: a script or a command with all that it runs in."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from refrain.environments.distribution import DistributedJob
from refrain.environments.environment import Environment
from refrain.environments.run_configuration import DockerConfiguration, RunConfiguration
from refrain.errors import UserError

if TYPE_CHECKING:
    from refrain.steps.process_step import ProcessStep

_MONTH = 2592000


class ScriptRunConfig:
    """What ``Experiment.submit`` runs by itself, and what a ``CommandStep`` takes its settings from.

    :param source_directory: the folder of the script; None means the current one.
    :param script: its path in that folder; or *command* is given.
    :param arguments: of the script, as those of a step.
    :param run_config: settings of the process; where it is given, the four others are left out, with a warning.
    :param compute_target: a compute target, or its name.
    :param environment: what it runs in.
    :param distributed_job_config: several processes, see :mod:`refrain.environments.distribution`.
    :param resume_from: not supported.
    :param max_run_duration_seconds: not supported, because a step runs until it ends or is stopped.
    :param command: a command line, as that of a :class:`refrain.steps.command_step.CommandStep`.
    :param docker_runtime_config: how a container is started, on compute targets that run them.
    :raises UserError: without script and command, or with both, and for settings of the wrong type.
    """

    MAX_DURATION_SECONDS_DEFAULT = _MONTH

    def __init__(  # noqa: PLR0913  # Azure ML's signature
        self,
        source_directory: str | os.PathLike[str] | None,
        script: str | None = None,
        arguments: Sequence[Any] | None = None,
        run_config: RunConfiguration | None = None,
        _telemetry_values: Any = None,
        compute_target: Any = None,
        environment: Environment | None = None,
        distributed_job_config: DistributedJob | None = None,
        resume_from: Any = None,
        max_run_duration_seconds: int = _MONTH,
        command: str | Sequence[Any] | None = None,
        docker_runtime_config: DockerConfiguration | None = None,
    ) -> None:
        if run_config is not None and not isinstance(run_config, RunConfiguration):
            raise UserError(f"ScriptRunConfig: run_config must be a RunConfiguration, not {run_config!r}.")
        self.source_directory = source_directory
        self.run_config = run_config or RunConfiguration()
        self.script = script or self.run_config.script
        self.command = command or self.run_config.command
        self.arguments = list(arguments or self.run_config.arguments)
        self.max_run_duration_seconds = max_run_duration_seconds
        if (self.script is None) == (self.command is None):
            raise UserError("ScriptRunConfig needs a script or a command, and not both.")
        if self.command is not None and self.arguments:
            raise UserError("ScriptRunConfig: arguments go with a script; put them into the command's list.")
        _warn_of({"resume_from": resume_from, "max_run_duration_seconds": max_run_duration_seconds != _MONTH}, "")
        settings = {
            "compute_target": compute_target,
            "environment": environment,
            "distributed_job_config": distributed_job_config,
            "docker_runtime_config": docker_runtime_config,
        }
        if run_config is not None:
            _warn_of(settings, " where run_config is given")
        else:
            self._configure(settings)

    def step(self, allow_reuse: bool = True) -> ProcessStep:
        """Return the step that runs it."""
        from refrain.steps.command_step import CommandStep
        from refrain.steps.python_script import PythonScriptStep

        if self.script is None:
            return CommandStep(runconfig=self, allow_reuse=allow_reuse)
        return PythonScriptStep(
            self.script,
            arguments=self.arguments,
            runconfig=self.run_config,
            source_directory=self.source_directory,
            allow_reuse=allow_reuse,
        )

    def _configure(self, settings: dict[str, Any]) -> None:
        config = self.run_config
        config.target = settings["compute_target"]
        if settings["environment"] is not None:
            if not isinstance(settings["environment"], Environment):
                raise UserError(f"ScriptRunConfig: {settings['environment']!r} is no Environment.")
            config.environment = settings["environment"]
        if settings["distributed_job_config"] is not None:
            config.distribute(settings["distributed_job_config"])
        if settings["docker_runtime_config"] is not None:
            config.docker = settings["docker_runtime_config"]


def _warn_of(settings: dict[str, Any], where: str) -> None:
    given = [name for name, value in settings.items() if value]
    if given:
        warnings.warn(f"ScriptRunConfig: {', '.join(given)} has no effect{where}.", stacklevel=3)
