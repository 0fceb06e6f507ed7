"""PythonScriptStep: runs a Python script as an ordinary process."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from refrain.data.parameters import PipelineParameter
from refrain.data.ports import InputMode, InputPort, OutputMode, OutputPort
from refrain.environments.run_configuration import RunConfiguration
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import PipelineError, UserError
from refrain.steps.command import Interpreter, Literal
from refrain.steps.counting import counted
from refrain.steps.definition import StepDefinition
from refrain.steps.step import PipelineStep, compute_name, locate_script
from refrain.steps.wiring import Build, Wiring

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
    :param hash_paths: accepted for old code and ignored.
    :param hash_mode: ``snapshot``: every file of the source directory counts; ``imports``: only the script and the
        Python files that it imports, as far as its import statements tell. Where they do not, because code uses
        ``importlib``, ``exec``, ``sys.path`` or the like, every file counts. In either case the script sees all files.
    :param hash_include: with ``imports``, patterns of other files that count: data and settings which the script reads.
    :param hash_exclude: patterns, as in an ``.amlignore``, of files that do not count.
    :raises UserError: for arguments of the wrong type.
    """

    def __init__(  # noqa: PLR0913  # Azure ML's signature
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
        source_directory: str | os.PathLike[str] | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
        hash_paths: Sequence[str] | None = None,
        hash_mode: str = "snapshot",
        hash_include: Sequence[str] | None = None,
        hash_exclude: Sequence[str] | None = None,
    ) -> None:
        if not isinstance(script_name, str) or not script_name.strip():
            raise UserError(f"PythonScriptStep needs a script_name, not {script_name!r}.")
        super().__init__(name or script_name, inputs, outputs, arguments)
        if runconfig is not None and not isinstance(runconfig, RunConfiguration):
            raise UserError(f"Step {self.name!r}: runconfig must be a RunConfiguration, not {runconfig!r}.")
        if runconfig_pipeline_params:
            raise UserError(
                f"Step {self.name!r}: runconfig_pipeline_params sets node and process counts, which a plain script "
                "does not have; remove it."
            )
        if not isinstance(allow_reuse, bool):
            raise UserError(f"Step {self.name!r}: allow_reuse must be True or False, not {allow_reuse!r}.")
        if not isinstance(params or {}, Mapping):
            raise UserError(f"Step {self.name!r}: params must map names to values, not {params!r}.")
        if hash_paths is not None:
            warnings.warn(
                f"Step {self.name!r}: parameter 'hash_paths' is deprecated and ignored; the whole source_directory is "
                "hashed.",
                DeprecationWarning,
                stacklevel=2,
            )
        self.script_name = script_name
        self.source_directory = source_directory
        self._hashed = (hash_mode, hash_include, hash_exclude)
        self.params = {str(key): value for key, value in (params or {}).items()}
        self.version = None if version is None else str(version)
        self.allow_reuse = allow_reuse
        self.environment = runconfig.specification() if runconfig else EnvironmentSpec()
        fallback = runconfig.target if runconfig else None
        self.compute = compute_name(self.name, compute_target) or compute_name(self.name, fallback)

    def define(self, build: Build) -> StepDefinition:
        """See :meth:`PipelineStep.define`."""
        source, script = locate_script(self.name, self.script_name, self.source_directory, build)
        variables = dict(self.environment.variables)
        part = counted(self.name, script.removeprefix("./"), *self._hashed, variables)
        source = replace(source, counted=part) if part else source
        wiring = Wiring(self.name, build)
        wiring.add_outputs(self.outputs)
        wiring.add_inputs(self.inputs)
        wiring.add_parameters(self.params, self.arguments)
        arguments = tuple(wiring.token(item) for item in self.arguments)
        inputs, outputs = wiring.ports()
        _refuse_hdfs(self.name, inputs, outputs)
        return StepDefinition(
            key=build.key_of(self),
            name=self.name,
            kind=KIND,
            source=source,
            command=(Interpreter(), Literal(script), *arguments),
            inputs=inputs,
            outputs=outputs,
            parameters=wiring.variables(),
            environment=self.environment,
            allow_reuse=self.allow_reuse,
            after=tuple(dict.fromkeys(build.key_of(step) for step in self.predecessors)),
            compute=self.compute,
            version=self.version,
        )

    def parameters(self) -> list[PipelineParameter]:
        """See :meth:`PipelineStep.parameters`."""
        return [*super().parameters(), *(v for v in self.params.values() if isinstance(v, PipelineParameter))]


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
