"""CommandOperator: a command line as an Airflow task, with inputs, outputs and reuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refrain.environments.run_configuration import RunConfiguration
from refrain.steps.command_step import CommandStep
from refrain.steps.script_run import ScriptRunConfig
from refrain.storage.datastores import BLOB_STORE
from refrain_operators.native_build import declare, native_build
from refrain_operators.step_operator import StepOperator


class CommandOperator(StepOperator):
    """Runs a command line with ``/bin/sh`` beside ordinary operators in any DAG.

    What is written as text is the shell's; data and parameters are words of their own, which no shell and no template
    reads. The rules are those of :class:`refrain.steps.command_step.CommandStep`.

    :param command: a text, or a list of texts, numbers, pipeline parameters and data. Not templated.
    :param script_params: values for environment variables ``AML_PARAMETER_<name>``.
    :param default_datastore: for outputs that name none.
    """

    def __init__(  # noqa: PLR0913  # Azure ML's names, as keywords
        self,
        *,
        command: str | Sequence[Any] | None = None,
        source_directory: str | None = None,
        inputs: Sequence[Any] | None = None,
        outputs: Sequence[Any] | None = None,
        script_params: Mapping[str, Any] | None = None,
        runconfig: RunConfiguration | ScriptRunConfig | None = None,
        allow_reuse: bool = True,
        default_datastore: str = BLOB_STORE,
        **kwargs: Any,
    ) -> None:
        build = native_build(kwargs, default_datastore)
        line = CommandStep(
            command,
            name=kwargs["task_id"],
            inputs=inputs,
            outputs=outputs,
            params=script_params,
            runconfig=runconfig,
            source_directory=source_directory,
            allow_reuse=allow_reuse,
        )
        step = line.define(build)
        super().__init__(step=step, producers=build.producers(step), declared=line.parameters(), **kwargs)
        declare(self, line)
