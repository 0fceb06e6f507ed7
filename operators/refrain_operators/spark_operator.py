"""SparkOperator: a Spark application as an Airflow task, with inputs, outputs and reuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refrain.environments.run_configuration import RunConfiguration
from refrain.steps.spark import SparkResources, SparkStep
from refrain.storage.datastores import BLOB_STORE
from refrain_operators.native_build import declare, native_build
from refrain_operators.step_operator import StepOperator


class SparkOperator(StepOperator):
    """Runs a script as the driver of a Spark application, beside ordinary operators in any DAG.

    The rules are those of :class:`refrain.steps.spark.SparkStep`.

    :param file: path of the script, relative to the source directory.
    :param compute_target: the name of the target that says on which Spark.
    :param arguments: texts, numbers, pipeline parameters and data. Not templated.
    :param script_params: values for environment variables ``AML_PARAMETER_<name>``.
    :param default_datastore: for outputs that name none.
    """

    def __init__(  # noqa: PLR0913  # the step's names, as keywords
        self,
        *,
        file: str,
        source_directory: str | None = None,
        compute_target: Any = None,
        arguments: Sequence[Any] | None = None,
        inputs: Sequence[Any] | None = None,
        outputs: Sequence[Any] | None = None,
        script_params: Mapping[str, Any] | None = None,
        resources: SparkResources | None = None,
        app_name: str | None = None,
        conf: Mapping[str, Any] | None = None,
        py_files: Sequence[str] | None = None,
        jars: Sequence[str] | None = None,
        files: Sequence[str] | None = None,
        runconfig: RunConfiguration | None = None,
        allow_reuse: bool = True,
        default_datastore: str = BLOB_STORE,
        **kwargs: Any,
    ) -> None:
        build = native_build(kwargs, default_datastore)
        application = SparkStep(
            file,
            source_directory,
            compute_target,
            kwargs["task_id"],
            arguments,
            inputs,
            outputs,
            script_params,
            resources,
            app_name,
            conf,
            py_files,
            jars,
            files,
            runconfig,
            allow_reuse,
        )
        step = application.define(build)
        super().__init__(step=step, producers=build.producers(step), declared=application.parameters(), **kwargs)
        declare(self, application)
