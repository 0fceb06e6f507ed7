"""Published: what a recorded step run gave, as the steps behind it take it."""

from __future__ import annotations

from refrain.data.handle import DataHandle
from refrain.execution.request import StepResult
from refrain.tracking.record import RunRecord


def outputs_of(record: RunRecord) -> dict[str, DataHandle]:
    """Return the outputs of a run record."""
    return {name: DataHandle.from_json(handle) for name, handle in record.outputs.items()}


def published_by(record: RunRecord) -> StepResult:
    """Return the result of a step run that has completed."""
    sentence = str(record.decision.get("sentence", ""))
    return StepResult(record.run_id, outputs_of(record), record.reused_from, sentence, record.seconds_saved)
