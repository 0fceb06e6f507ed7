"""DataTransferOperator: a copy between datastores as an Airflow task, verified, reused and gone on with."""

from __future__ import annotations

from typing import Any

from refrain.data.pipeline_data import PipelineData
from refrain.steps.data_transfer import DataTransferStep
from refrain.storage.datastores import BLOB_STORE
from refrain_operators.native_build import declare, native_build
from refrain_operators.step_operator import StepOperator


class DataTransferOperator(StepOperator):
    """Copies files or rows from one datastore to another, beside ordinary operators in any DAG.

    Nothing is copied when the source is what it was and the destination still is what was written. A task that is
    killed or cleared goes on from where it was. The rules are those of
    :class:`refrain.steps.data_transfer.DataTransferStep`.

    :param source: a data reference, rows of a database, or what another operator writes.
    :param destination: a data reference, or a table of a database.
    """

    def __init__(  # Azure ML's names, as keywords
        self,
        *,
        source: Any,
        destination: Any,
        source_reference_type: str | None = None,
        destination_reference_type: str | None = None,
        allow_reuse: bool = True,
        **kwargs: Any,
    ) -> None:
        build = native_build(kwargs, BLOB_STORE)
        transfer = DataTransferStep(
            kwargs["task_id"],
            source,
            destination,
            source_reference_type=source_reference_type,
            destination_reference_type=destination_reference_type,
            allow_reuse=allow_reuse,
        )
        step = transfer.define(build)
        super().__init__(step=step, producers=build.producers(step), **kwargs)
        self.transfer = transfer
        declare(self, transfer)

    def get_output(self) -> PipelineData:
        """Return the copied data as an input for other operators, which then come after this one.

        :raises UserError: for a table, which no step reads as files.
        """
        return self.transfer.get_output()
