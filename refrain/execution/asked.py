"""Asked: a step about which the engine has been asked, and the record of one that turned out to be reused."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from refrain.data.handle import DataHandle
from refrain.data.parameters import recorded
from refrain.execution.inputs import ResolvedInput
from refrain.execution.lineage import Holders, lineage
from refrain.execution.request import StepRequest
from refrain.reuse.decision import Decision
from refrain.reuse.record import ReuseRecord
from refrain.tracking.record import RunRecord, RunStatus
from refrain.tracking.run_id import StepRunId
from refrain.values import dataclass


@dataclass(frozen=True)
class Asked:
    """What is known of a step before anything is done about it.

    :param request: with data in the place of what only names it.
    :param began: when it was asked, in seconds since the epoch.
    """

    request: StepRequest
    inputs: Mapping[str, ResolvedInput]
    decision: Decision
    began: float = field(default_factory=time.time)


def new_record(request: StepRequest, run_id: StepRunId, **known: Any) -> RunRecord:
    """Return the record of a step run that begins now; *known* are more of its fields."""
    fields = {"created": time.time(), **known}
    return RunRecord(
        run_id=str(run_id),
        name=request.step.name,
        pipeline=request.run.pipeline,
        experiment=request.run.experiment,
        key=request.step.key,
        parameters=recorded(request.parameters),
        origin=request.run.origin,
        **fields,
    )


def reused_record(
    asked: Asked, earlier: ReuseRecord, run_id: StepRunId, registered: Mapping[str, Any], among: Holders
) -> RunRecord:
    """Return the record of a step run for which an earlier result stands.

    :param registered: by output name, the dataset version that it became.
    """
    made_by = StepRunId.parse(earlier.run_id)
    return new_record(
        asked.request,
        run_id,
        status=RunStatus.COMPLETED,
        created=asked.began,
        started=asked.began,
        ended=time.time(),
        fingerprint=asked.decision.fingerprint,
        decision=asked.decision.to_json(),
        reused_from=earlier.run_id,
        seconds_saved=earlier.seconds,
        outputs=references(earlier.outputs),
        datasets=lineage(asked.request.step, asked.inputs.values(), earlier.outputs, among),
        registered=registered,
        properties={
            "azureml.reusedrunid": earlier.run_id,
            "azureml.reusednodeid": made_by.key,
            "azureml.reusedpipeline": made_by.root,
        },
    )


def references(outputs: Mapping[str, DataHandle]) -> dict[str, Any]:
    """Return outputs as a run record keeps them."""
    return {name: handle.to_json() for name, handle in outputs.items()}
