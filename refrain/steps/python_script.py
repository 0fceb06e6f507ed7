"""PythonScriptStep: runs a Python script as an ordinary process."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from refrain.data.parameters import PipelineParameter
from refrain.environments.run_configuration import RunConfiguration
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import UserError
from refrain.steps.command import Interpreter, Literal, ParameterValue, Token
from refrain.steps.definition import StepDefinition
from refrain.steps.step import PipelineStep, compute_name, source_code
from refrain.steps.wiring import Build, wire

KIND = "python_script"


class PythonScriptStep(PipelineStep):
    """A step that runs ``python <script_name> <arguments>`` in a fresh copy of its source directory.

    :param script_name: path of the script, relative to the source directory; also the default name.
    :param arguments: texts, numbers, parameters and data; data becomes a local path.
    :param params: values for environment variables ``AML_PARAMETER_<name>``; may be pipeline parameters.
    :param runconfig: environment variables, the interpreter and the compute target.
    :param source_directory: what is captured and hashed; None means the pipeline's default, else the current directory.
    :param version: free text that is part of the fingerprint: another one makes the step run again.
    :param allow_reuse: False makes the step run in every run.
    :param hash_paths: accepted for old code and ignored: the whole source directory is hashed.
    :raises UserError: for arguments of the wrong type.
    """

    def __init__(
        self,
        script_name: str,
        name: str | None = None,
        arguments: Sequence[Any] | None = None,
        compute_target: Any = None,
        runconfig: RunConfiguration | None = None,
        runconfig_pipeline_params: Mapping[str, Any] | None = None,
        inputs: Sequence[Any] | None = None,
        outputs: Sequence[Any] | None = None,
        params: Mapping[str, Any] | None = None,
        source_directory: str | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
        hash_paths: Sequence[str] | None = None,
    ) -> None:
        if not isinstance(script_name, str) or not script_name.strip():
            raise UserError(f"PythonScriptStep needs a script_name, not {script_name!r}.")
        super().__init__(name or script_name, inputs, outputs, arguments)
        if runconfig is not None and not isinstance(runconfig, RunConfiguration):
            raise UserError(f"Step {self.name!r}: runconfig must be a RunConfiguration, not {runconfig!r}.")
        if runconfig_pipeline_params:
            raise UserError(
                f"Step {self.name!r}: runconfig_pipeline_params sets node and process counts, which a plain script does "
                "not have; remove it."
            )
        if hash_paths is not None:
            warnings.warn(
                f"Step {self.name!r}: parameter 'hash_paths' is deprecated and ignored; the whole source_directory is "
                "hashed.",
                DeprecationWarning,
                stacklevel=2,
            )
        self.script_name = script_name
        self.source_directory = source_directory
        self.params = dict(params or {})
        self.version = version
        self.allow_reuse = allow_reuse
        self.environment = runconfig.specification() if runconfig else EnvironmentSpec()
        self.compute = compute_name(self.name, compute_target) or (runconfig.target if runconfig else None)

    def define(self, build: Build) -> StepDefinition:
        """See :meth:`PipelineStep.define`."""
        source = source_code(self.name, self.script_name, self.source_directory, build)
        wiring = wire(self.name, build, self.inputs, self.outputs, self.arguments)
        wiring.parameters.update((name, _token(value)) for name, value in self.params.items())
        arguments = tuple(wiring.token(item) for item in self.arguments)
        inputs, outputs = wiring.ports()
        return StepDefinition(
            key=build.key_of(self),
            name=self.name,
            kind=KIND,
            source=source,
            command=(Interpreter(), Literal(self.script_name), *arguments),
            inputs=inputs,
            outputs=outputs,
            parameters=tuple(sorted(wiring.parameters.items())),
            environment=self.environment,
            allow_reuse=self.allow_reuse,
            after=tuple(dict.fromkeys(build.key_of(step) for step in self.predecessors)),
            compute=self.compute,
            version=self.version,
        )

    def parameters(self) -> list[PipelineParameter]:
        """See :meth:`PipelineStep.parameters`."""
        return [*super().parameters(), *(v for v in self.params.values() if isinstance(v, PipelineParameter))]


def _token(value: Any) -> Token:
    return ParameterValue(value.name) if isinstance(value, PipelineParameter) else Literal(str(value))
