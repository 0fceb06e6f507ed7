"""PythonScriptOperator: a Python script as an Airflow task, with inputs, outputs and reuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from refrain.environments.run_configuration import RunConfiguration
from refrain.steps.command import InputPath
from refrain.steps.python_script import PythonScriptStep
from refrain.storage.datastores import BLOB_STORE
from refrain_operators.gathered import Gathered
from refrain_operators.native_build import declare, native_build
from refrain_operators.step_operator import StepOperator


class PythonScriptOperator(StepOperator):
    """Runs ``python <script_name> <arguments>`` beside ordinary operators in any DAG.

    Operators that share a data object (``PipelineData``, ``OutputFileDatasetConfig``) are ordered by it. The XCom is a
    small reference, see :mod:`refrain_operators.references`.

    :param script_name: path of the script, relative to the source directory.
    :param arguments: texts, numbers, pipeline parameters and data; data becomes a local path. Not templated.
    :param script_params: values for environment variables ``AML_PARAMETER_<name>`` (Azure ML's ``params``, which is
        Airflow's own name here).
    :param default_datastore: for outputs that name none.
    """

    def __init__(  # noqa: PLR0913  # Azure ML's names, as keywords
        self,
        *,
        script_name: str,
        source_directory: str | None = None,
        arguments: Sequence[Any] | None = None,
        inputs: Sequence[Any] | None = None,
        outputs: Sequence[Any] | None = None,
        script_params: Mapping[str, Any] | None = None,
        runconfig: RunConfiguration | None = None,
        allow_reuse: bool = True,
        hash_mode: str = "snapshot",
        hash_include: Sequence[str] | None = None,
        hash_exclude: Sequence[str] | None = None,
        default_datastore: str = BLOB_STORE,
        **kwargs: Any,
    ) -> None:
        build = native_build(kwargs, default_datastore)
        gathered = [item for item in (inputs or ()) if isinstance(item, Gathered)]
        # The places of gathered data are kept by a text that no user can mean, and filled in below.
        marks = {id(item): f"\0gathered\0{item.name}" for item in gathered}
        script = PythonScriptStep(
            script_name=script_name,
            name=kwargs["task_id"],
            arguments=[marks.get(id(item), item) for item in arguments or ()],
            inputs=[item for item in inputs or () if not isinstance(item, Gathered)],
            outputs=outputs,
            params=script_params,
            runconfig=runconfig,
            source_directory=source_directory,
            allow_reuse=allow_reuse,
            hash_mode=hash_mode,
            hash_include=hash_include,
            hash_exclude=hash_exclude,
        )
        step = script.define(build)
        names = {mark: item.name for mark, item in ((marks[id(item)], item) for item in gathered)}
        command = tuple(
            InputPath(str(names[text])) if (text := getattr(token, "text", None)) in names else token
            for token in step.command
        )
        step = replace(step, command=command, inputs=(*step.inputs, *(item.port() for item in gathered)))
        producers = {**build.producers(step), **{str(item.name): item.operator for item in gathered}}
        super().__init__(step=step, producers=producers, declared=script.parameters(), **kwargs)
        declare(self, script)
