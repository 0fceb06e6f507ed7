"""ProcessStep: what steps have in common whose work is a process of their user's."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refrain.data.parameters import PipelineParameter
from refrain.data.ports import InputMode, InputPort, OutputMode, OutputPort
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import PipelineError, UserError
from refrain.steps.command import Token
from refrain.steps.definition import SourceCode, StepDefinition
from refrain.steps.step import PipelineStep, compute_name
from refrain.steps.wiring import Build, Wiring
from refrain.values import dataclass

if TYPE_CHECKING:
    from refrain.environments.run_configuration import RunConfiguration
    from refrain.steps.launching import Launch

_PLAIN = EnvironmentSpec()
"""What a :class:`RunConfiguration` asks for of which nothing was changed."""


@dataclass(frozen=True)
class ProcessSettings:
    """How the process is set up; see :class:`refrain.steps.python_script.PythonScriptStep` for each."""

    compute_target: Any = None
    runconfig: RunConfiguration | None = None
    runconfig_pipeline_params: Mapping[str, Any] | None = None
    params: Mapping[str, Any] | None = None
    source_directory: str | os.PathLike[str] | None = None
    allow_reuse: bool = True
    version: str | None = None


class ProcessStep(PipelineStep):
    """A step that runs a command in a fresh copy of its source directory.

    :raises UserError: for settings of the wrong type.
    """

    def __init__(
        self,
        name: str,
        settings: ProcessSettings,
        inputs: Sequence[Any] | None,
        outputs: Sequence[Any] | None,
        arguments: Sequence[Any] | None,
    ) -> None:
        super().__init__(name, inputs, outputs, arguments)
        config = settings.runconfig
        if config is not None:
            _require_configuration(self.name, config)
        if not isinstance(settings.allow_reuse, bool):
            raise UserError(f"Step {self.name!r}: allow_reuse must be True or False, not {settings.allow_reuse!r}.")
        if not isinstance(settings.params or {}, Mapping):
            raise UserError(f"Step {self.name!r}: params must map names to values, not {settings.params!r}.")
        self.source_directory = settings.source_directory
        self.params = {str(key): value for key, value in (settings.params or {}).items()}
        self.version = None if settings.version is None else str(settings.version)
        self.allow_reuse = settings.allow_reuse
        self.environment = _PLAIN if config is None else config.specification()
        self._launch = self._launched(config, settings.runconfig_pipeline_params or {})
        target = None if config is None else config.target
        self.compute = compute_name(self.name, settings.compute_target) or compute_name(self.name, target)

    def _launched(self, config: RunConfiguration | None, given: Mapping[str, Any]) -> Launch | None:
        if config is None and not given:
            return None
        from refrain.environments.run_configuration import RunConfiguration
        from refrain.steps.launching import launch

        return launch(self.name, config or RunConfiguration(), given)

    def _define(
        self, build: Build, kind: str, source: SourceCode, command: Callable[[Wiring], Sequence[Token]]
    ) -> StepDefinition:
        """Return the definition of the step.

        :param command: makes the command line of one process.
        """
        wiring = Wiring(self.name, build)
        wiring.add_outputs(self.outputs)
        wiring.add_inputs(self.inputs)
        wiring.add_parameters(self.params, self.arguments)
        words = tuple(command(wiring))
        inputs, outputs = wiring.ports()
        if not self.environment.uses_spark:
            _refuse_hdfs(self.name, inputs, outputs)
        return StepDefinition(
            key=build.key_of(self),
            name=self.name,
            kind=kind,
            source=source,
            command=self._launch.around(words) if self._launch else words,
            inputs=inputs,
            outputs=outputs,
            parameters=wiring.variables(),
            environment=self.environment,
            allow_reuse=self.allow_reuse,
            after=self.predecessor_keys(build),
            compute=self.compute,
            version=self.version,
        )

    def parameters(self) -> list[PipelineParameter]:
        """See :meth:`PipelineStep.parameters`."""
        counts = self._launch.parameters() if self._launch else []
        return [*super().parameters(), *(v for v in self.params.values() if isinstance(v, PipelineParameter)), *counts]


def _require_configuration(step_name: str, config: object) -> None:
    from refrain.environments.run_configuration import RunConfiguration

    if not isinstance(config, RunConfiguration):
        raise UserError(f"Step {step_name!r}: runconfig must be a RunConfiguration, not {config!r}.")


def _refuse_hdfs(step_name: str, inputs: Sequence[InputPort], outputs: Sequence[OutputPort]) -> None:
    for port in inputs:
        if port.mode is InputMode.HDFS:
            raise PipelineError(
                f"Step {step_name!r}: input {port.name!r} is taken with as_hdfs(), an address that only Spark "
                "understands. Use as_mount() or as_download() for a Python script."
            )
    for output in outputs:
        if output.mode is OutputMode.HDFS:
            raise PipelineError(
                f"Step {step_name!r}: the output {output.name!r} is an HDFSOutputDatasetConfig, which a Spark step "
                "writes by its address. A Python script writes to a path: use an OutputFileDatasetConfig."
            )
