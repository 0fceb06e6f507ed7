"""ParallelRunOperator: an entry script on the mini-batches of its inputs, as an Airflow task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refrain.steps.parallel_config import ParallelRunConfig
from refrain.steps.parallel_run import ParallelRunStep
from refrain.storage.datastores import BLOB_STORE
from refrain_operators.native_build import declare, native_build
from refrain_operators.step_operator import StepOperator


class ParallelRunOperator(StepOperator):
    """Runs an entry script in many processes, beside ordinary operators in any DAG.

    One task does the whole work; a try that is killed or fails leaves what it has done to the next. The rules are those
    of :class:`refrain.steps.parallel_run.ParallelRunStep`, whose name is the task id.

    :param arguments: for the entry script; not templated.
    :param default_datastore: for an output that names none.
    """

    def __init__(  # noqa: PLR0913  # Azure ML's names, as keywords
        self,
        *,
        parallel_run_config: ParallelRunConfig,
        inputs: Sequence[Any],
        output: Any = None,
        side_inputs: Sequence[Any] | None = None,
        arguments: Sequence[Any] | None = None,
        allow_reuse: bool = True,
        default_datastore: str = BLOB_STORE,
        **kwargs: Any,
    ) -> None:
        build = native_build(kwargs, default_datastore)
        name = kwargs["task_id"]
        scoring = ParallelRunStep(name, parallel_run_config, inputs, output, side_inputs, arguments, allow_reuse)
        step = scoring.define(build)
        super().__init__(step=step, producers=build.producers(step), declared=scoring.parameters(), **kwargs)
        declare(self, scoring)
