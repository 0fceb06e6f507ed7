"""PythonScriptStep: runs a Python script as an ordinary process."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refrain.errors import UserError
from refrain.steps.command import Interpreter, Literal, Token
from refrain.steps.counting import counted
from refrain.steps.definition import StepDefinition
from refrain.steps.process_step import ProcessSettings, ProcessStep
from refrain.steps.step import locate_script
from refrain.steps.wiring import Build, Wiring

if TYPE_CHECKING:
    from refrain.environments.run_configuration import RunConfiguration

KIND = "python_script"


class PythonScriptStep(ProcessStep):
    """A step that runs ``python <script_name> <arguments>`` in a fresh copy of its source directory.

    :param script_name: path of the script, relative to the source directory; also the default name.
    :param arguments: texts, numbers, parameters and data; data becomes a local path.
    :param params: values for environment variables ``AML_PARAMETER_<name>``; may be pipeline parameters.
    :param runconfig: the environment, variables, the compute target, and how many processes run side by side.
    :param runconfig_pipeline_params: counts of processes that pipeline parameters set, such as
        ``{"MpiProcessCountPerNode": parameter}``.
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
        settings = ProcessSettings(
            compute_target, runconfig, runconfig_pipeline_params, params, source_directory, allow_reuse, version
        )
        super().__init__(name or script_name, settings, inputs, outputs, arguments)
        if hash_paths is not None:
            warnings.warn(
                f"Step {self.name!r}: parameter 'hash_paths' is deprecated and ignored; the whole source_directory is "
                "hashed.",
                DeprecationWarning,
                stacklevel=2,
            )
        self.script_name = script_name
        self._hashed = (hash_mode, hash_include, hash_exclude)

    def define(self, build: Build) -> StepDefinition:
        """See :meth:`PipelineStep.define`."""
        source, script = locate_script(self.name, self.script_name, self.source_directory, build)
        variables = dict(self.environment.variables)
        part = counted(self.name, script.removeprefix("./"), *self._hashed, variables)
        source = replace(source, counted=part) if part else source

        def command(wiring: Wiring) -> tuple[Token, ...]:
            return (Interpreter(), Literal(script), *map(wiring.token, self.arguments))

        return self._define(build, KIND, source, command)
