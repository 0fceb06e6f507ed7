"""SparkStep and SynapseSparkStep: run a Python script as the driver of a Spark application."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.output_config import HDFSOutputDatasetConfig
from refrain.environments.environment import Environment
from refrain.environments.run_configuration import RunConfiguration
from refrain.errors import PipelineError, UserError
from refrain.steps import spark_conf
from refrain.steps.command import Interpreter, Literal, SparkSubmit, Token
from refrain.steps.definition import StepDefinition
from refrain.steps.process_step import ProcessSettings, ProcessStep
from refrain.steps.spark_conf import FILES, JARS, PY_FILES
from refrain.steps.step import locate_script
from refrain.steps.wiring import Build, Wiring

KIND = "spark"
_SYNAPSE_MODES = ("direct", "hdfs")


@dataclass(frozen=True)
class SparkResources:
    """How large an application is; None leaves it to the compute target, else to Spark.

    :param driver_memory: such as ``28g``; *executor_memory* likewise.
    """

    driver_memory: str | None = None
    driver_cores: int | None = None
    executor_memory: str | None = None
    executor_cores: int | None = None
    num_executors: int | None = None

    def settings(self, what: str) -> dict[str, tuple[str, str]]:
        """Return the name of each parameter that is given and its value, by Spark's key.

        :raises UserError: for a value that cannot be one.
        """
        rows = (
            ("spark.driver.memory", "driver_memory", spark_conf.memory),
            ("spark.driver.cores", "driver_cores", spark_conf.count),
            ("spark.executor.memory", "executor_memory", spark_conf.memory),
            ("spark.executor.cores", "executor_cores", spark_conf.count),
            ("spark.executor.instances", "num_executors", spark_conf.count),
        )
        given = ((key, name, check, getattr(self, name)) for key, name, check in rows)
        return {key: (name, check(value, name, what)) for key, name, check, value in given if value is not None}


class SparkStep(ProcessStep):
    """A step whose script is the driver of a Spark application; the compute target says on which Spark.

    Without a target of the kind ``spark`` the application has this machine to itself (``local[*]``). Inputs that are
    taken with ``as_hdfs()`` and outputs that are an ``HDFSOutputDatasetConfig`` reach the script as addresses that
    Spark reads and writes; all others as for a :class:`PythonScriptStep`.

    :param file: path of the script, relative to the source directory; also the default name.
    :param arguments: texts, numbers, parameters and data.
    :param resources: how large the application is.
    :param app_name: what it is called in Spark; None means the id of the step's run.
    :param conf: settings by Spark's keys. Those that say where it runs belong to the compute target.
    :param py_files: Python files and archives for the driver and the executors: paths in the source directory, or URLs.
    :param jars: likewise, for the class path.
    :param files: likewise, for the working directories of the executors.
    :param params: values for environment variables ``AML_PARAMETER_<name>``; may be pipeline parameters.
    :param runconfig: the environment, variables and the compute target.
    :raises UserError: for arguments that cannot be right.
    """

    def __init__(  # noqa: PLR0913  # Azure ML's way to write a step
        self,
        file: str,
        source_directory: str | os.PathLike[str] | None = None,
        compute_target: Any = None,
        name: str | None = None,
        arguments: Sequence[Any] | None = None,
        inputs: Sequence[Any] | None = None,
        outputs: Sequence[Any] | None = None,
        params: Mapping[str, Any] | None = None,
        resources: SparkResources | None = None,
        app_name: str | None = None,
        conf: Mapping[str, Any] | None = None,
        py_files: Sequence[str] | None = None,
        jars: Sequence[str] | None = None,
        files: Sequence[str] | None = None,
        runconfig: RunConfiguration | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
    ) -> None:
        kind = type(self).__name__
        if not isinstance(file, str) or not file.strip():
            raise UserError(f"{kind} needs a file, the script that it runs, not {file!r}.")
        settings = ProcessSettings(compute_target, runconfig, None, params, source_directory, allow_reuse, version)
        super().__init__(name or file, settings, inputs, outputs, arguments)
        what = f"Step {self.name!r}"
        if self._launch is not None:
            raise UserError(
                f"{what}: a Spark application is one process, its driver; remove the runconfig's distribution."
            )
        self.file = file
        self.environment = replace(self.environment, uses_spark=True)
        self._lists = {
            PY_FILES: _named(what, "py_files", py_files),
            JARS: _named(what, "jars", jars),
            FILES: _named(what, "files", files),
        }
        given = (resources or SparkResources()).settings(what)
        if app_name is not None:
            given["spark.app.name"] = ("app_name", str(app_name))
        asked = {**_of_config(runconfig, given, what), **spark_conf.checked(conf or {}, what)}
        own = spark_conf.with_given(asked, given, what)
        self.conf = spark_conf.with_lists(own, self._lists)

    def define(self, build: Build) -> StepDefinition:
        """See :meth:`PipelineStep.define`."""
        source, script = locate_script(self.name, self.file, self.source_directory, build)
        _require_files(self.name, str(source.directory), self._lists)

        def command(wiring: Wiring) -> tuple[Token, ...]:
            arguments = tuple(map(wiring.token, self.arguments))
            _require_passable(self.name, arguments)
            return (Interpreter(), SparkSubmit(tuple(sorted(self.conf.items()))), Literal(script), *arguments)

        return self._define(build, KIND, source, command)


class SynapseSparkStep(SparkStep):
    """Azure ML's Spark step: inputs are datasets, direct or by ``as_hdfs()``, outputs an ``HDFSOutputDatasetConfig``.

    :param environment: the environment of the driver; everything else as for :class:`SparkStep`.
    :raises UserError: for arguments that cannot be right.
    """

    def __init__(  # noqa: PLR0913  # Azure ML's signature
        self,
        file: str,
        source_directory: str | os.PathLike[str],
        compute_target: Any,
        driver_memory: str,
        driver_cores: int,
        executor_memory: str,
        executor_cores: int,
        num_executors: int,
        name: str | None = None,
        app_name: str | None = None,
        environment: Environment | None = None,
        arguments: Sequence[Any] | None = None,
        inputs: Sequence[Any] | None = None,
        outputs: Sequence[Any] | None = None,
        conf: Mapping[str, Any] | None = None,
        py_files: Sequence[str] | None = None,
        jars: Sequence[str] | None = None,
        files: Sequence[str] | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
    ) -> None:
        config = RunConfiguration()
        if environment is not None:
            if not isinstance(environment, Environment):
                raise UserError(f"Step {name or file!r}: environment must be an Environment, not {environment!r}.")
            config.environment = environment
        super().__init__(
            file,
            source_directory,
            compute_target,
            name,
            arguments,
            inputs,
            outputs,
            resources=SparkResources(driver_memory, driver_cores, executor_memory, executor_cores, num_executors),
            app_name=app_name,
            conf=conf,
            py_files=py_files,
            jars=jars,
            files=files,
            runconfig=config,
            allow_reuse=allow_reuse,
            version=version,
        )
        _require_synapse(self.name, self.inputs, self.outputs)


def _of_config(runconfig: RunConfiguration | None, given: Collection[str], what: str) -> dict[str, str]:
    """Return what a run configuration says by Spark's keys, without what parameters of the step say."""
    if runconfig is None:
        return {}
    said = {**runconfig.environment.spark.conf(), **spark_conf.checked(runconfig.spark.configuration, what)}
    return {key: value for key, value in said.items() if key not in given}


def _require_synapse(step_name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    for item in inputs:
        if not isinstance(item, DatasetConsumptionConfig) or item.mode not in _SYNAPSE_MODES:
            raise UserError(
                f"Step {step_name!r}: a SynapseSparkStep takes datasets, direct or with as_hdfs(), not {item!r}. Use "
                "dataset.as_named_input('name').as_hdfs(), or a SparkStep, which takes all kinds of data."
            )
    for item in outputs:
        if not isinstance(item, HDFSOutputDatasetConfig):
            raise UserError(
                f"Step {step_name!r}: a SynapseSparkStep writes to an HDFSOutputDatasetConfig, not to {item!r}. Use "
                "one, or a SparkStep, which takes all kinds of outputs."
            )


def _named(what: str, name: str, files: Any) -> tuple[str, ...]:
    """Return the files that a parameter names.

    :raises UserError: for what is no list of paths and URLs.
    """
    if files is None:
        return ()
    if not isinstance(files, list | tuple) or not all(isinstance(file, str) and file.strip() for file in files):
        raise UserError(f"{what}: {name} must be a list of paths in the source_directory, or URLs, not {files!r}.")
    for file in files:
        if "," in file:
            raise UserError(f"{what}: {name} names {file!r}; Spark takes the comma for the end of a name.")
    return tuple(files)


def _require_files(step_name: str, directory: str, lists: Mapping[str, Sequence[str]]) -> None:
    """Refuse files that the snapshot does not hold, so that a change of them would not be seen."""
    for files in lists.values():
        for file in (file for file in files if "://" not in file):
            path = file.partition("#")[0]  # what follows is the name by which executors find an archive
            if os.path.isabs(path) or os.path.normpath(path).split(os.sep)[0] == os.pardir:
                raise PipelineError(
                    f"Step {step_name!r}: {file!r} is outside of the source_directory {directory!r}, so that nobody "
                    "would see a change of it. Put it there, or give the URL of a file that never changes."
                )
            if not os.path.exists(os.path.join(directory, path)):
                raise PipelineError(f"Step {step_name!r}: {file!r} is not in the source_directory {directory!r}.")


def _require_passable(step_name: str, arguments: Sequence[object]) -> None:
    for token in arguments:
        if isinstance(token, Literal) and "\r" in token.text:
            raise PipelineError(
                f"Step {step_name!r}: spark-submit drops the carriage return in the argument {token.text!r}. Pass it "
                "in a variable: params={'name': text}."
            )
