"""Alone: a step without those before it, as a pipeline of its own and on what they gave last."""

from __future__ import annotations

from collections.abc import Mapping

from refrain.errors import UserError, known
from refrain.execution.preview import Published
from refrain.execution.published import published_by
from refrain.steps.definition import PipelineDefinition, StepDefinition
from refrain.tracking.record import RunStatus, RunStore


def alone(definition: PipelineDefinition, step: StepDefinition) -> PipelineDefinition:
    """Return a pipeline of one of its steps."""
    return PipelineDefinition(definition.name, (step,), definition.parameters, description=definition.description)


def latest_results(step: StepDefinition, pipeline: str, runs: RunStore) -> Mapping[str, Published]:
    """Return by key what the steps before *step* gave in the last run of the pipeline in which all of them ended well.

    :raises UserError: when there is no such run.
    """
    if not step.upstream:
        return {}
    for root in runs.roots():
        if root.pipeline != pipeline:
            continue
        done = {record.key: record for record in runs.latest_steps(root.run_id) if record.status is RunStatus.COMPLETED}
        if step.upstream <= done.keys():
            return {key: published_by(done[key]) for key in step.upstream}
    raise UserError(
        f"Step {step.name!r} reads what {known(step.upstream)} wrote, and no run of {pipeline!r} in this workspace has "
        "completed all of them. Run the pipeline first."
    )
