"""StepRequest: one step of one run, with everything that decides what it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from refrain.data.handle import DataHandle
from refrain.data.parameters import PipelineParameter, Value
from refrain.execution.trial import Trial
from refrain.steps.definition import StepDefinition
from refrain.tracking.record import RunRecord
from refrain.values import dataclass


@dataclass(frozen=True)
class RunContext:
    """The pipeline run that a step belongs to.

    :param root_id: the pipeline run's id.
    :param origin: see :class:`refrain.tracking.record.RunRecord`.
    """

    root_id: str
    pipeline: str
    experiment: str
    workspace_name: str
    workspace_root: str
    origin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StepRequest:
    """What the engine is asked to do.

    :param parameters: the pipeline parameters' values by name, every declared one.
    :param handles: what the steps before have published, by the names of this step's inputs; several for an input
        that gathers the outputs of a mapped step.
    :param predecessors: by key, which runs made the results of the steps that come first by ``run_after``.
    :param attempt: the first attempt number to try; a taken one leads to the next.
    :param trial: how the step is run alone, to look into it.
    :param may_suspend: whether a step whose job runs elsewhere may raise ``SuspendedError`` instead of waiting for it.
    :param resumes: the record of the step run that was suspended, and now goes on.
    :param expired: the holder of the step's lease that was seen to have died, by whoever waited for it elsewhere; see
        :attr:`refrain.execution.lease.Watch.expired`.
    """

    step: StepDefinition
    run: RunContext
    parameters: Mapping[str, Value] = field(default_factory=dict)
    declared: Mapping[str, PipelineParameter] = field(default_factory=dict)
    handles: Mapping[str, DataHandle | tuple[DataHandle, ...]] = field(default_factory=dict)
    predecessors: Mapping[str, str] = field(default_factory=dict)
    is_forced: bool = False
    attempt: int = 1
    trial: Trial | None = None
    may_suspend: bool = False
    resumes: RunRecord | None = None
    expired: str = ""

    @property
    def is_debugged(self) -> bool:
        """Say whether the step's script waits for a debugger."""
        return self.trial is not None and self.trial.debug_port is not None


@dataclass(frozen=True)
class StepResult:
    """What a step left: references to its outputs, by name, and whose they are.

    :param reused_from: the run whose outputs these are, or None when this run made them.
    """

    run_id: str
    outputs: Mapping[str, DataHandle]
    reused_from: str | None
    sentence: str
    seconds_saved: float = 0.0

    @property
    def made_by(self) -> str:
        """The id of the run that made the result: an earlier one, if that was reused."""
        return self.reused_from or self.run_id
