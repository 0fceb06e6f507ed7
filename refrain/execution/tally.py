"""Tally: what is known of a run while it goes on, kept small and up to date for whoever shows it."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from enum import Enum

from refrain.execution.duration import duration
from refrain.execution.listener import Phase
from refrain.reuse.decision import Decision
from refrain.steps.definition import PipelineDefinition
from refrain.tracking.record import RunStatus

_LAST = 5


class StepState(str, Enum):
    """How far a step is, in the words that are shown."""

    WAITING = "not run"
    RUNNING = "running"
    REUSED = "reused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


_ENDS = {
    RunStatus.COMPLETED.value: StepState.COMPLETED,
    RunStatus.FAILED.value: StepState.FAILED,
    RunStatus.CANCELED.value: StepState.CANCELED,
}


@dataclass
class StepTally:
    """One step. ``began`` and ``ended`` are seconds of a monotonic clock; ``last_line`` is of its output."""

    key: str
    name: str
    state: StepState = StepState.WAITING
    phase: Phase = Phase.RESOLVE
    began: float | None = None
    ended: float | None = None
    decision: Decision | None = None
    run_id: str = ""
    last_line: str = ""
    detail: str = ""

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return 0.0 if self.began is None else (self.ended or time.monotonic()) - self.began

    @property
    def seconds_saved(self) -> float:
        """How long the reused result took to make; 0 for a step that is not reused."""
        record = self.decision.record if self.decision is not None else None
        return record.seconds if record is not None and self.state is StepState.REUSED else 0.0

    @property
    def ending(self) -> str:
        """How the step ended, in one line."""
        if self.state is StepState.REUSED:
            return f"reused, {duration(self.seconds_saved)} saved"
        if self.state is StepState.COMPLETED:
            return f"completed in {duration(self.seconds)}"
        first = (self.detail.splitlines() or [""])[0]
        return f"{self.state.value} after {duration(self.seconds)}" + (f": {first}" if first else "")

    @property
    def reused_from(self) -> str:
        """The step run that made the reused result, or an empty text."""
        record = self.decision.record if self.decision is not None else None
        return record.run_id if record is not None else ""

    @property
    def reason(self) -> str:
        """Why it runs; empty for a reused step."""
        if self.decision is None or self.decision.is_reused:
            return ""
        return self.decision.sentence().removeprefix("runs: ")


@dataclass
class RunTally:
    """A run: its steps by key, in running order, with counts of their states, those that run now and the last ended."""

    run_id: str
    name: str
    steps: dict[str, StepTally]
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    status: str = RunStatus.RUNNING.value
    counts: Counter[StepState] = field(default_factory=lambda: Counter(dict.fromkeys(StepState, 0)))
    running: dict[str, StepTally] = field(default_factory=dict)
    last_ended: deque[StepTally] = field(default_factory=lambda: deque(maxlen=_LAST))
    seconds_saved: float = 0.0

    @classmethod
    def of(cls, run_id: str, definition: PipelineDefinition) -> RunTally:
        """Return the tally of a run that begins now."""
        return cls(run_id, definition.name, {step.key: StepTally(step.key, step.name) for step in definition.steps})

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return (self.ended or time.monotonic()) - self.began

    @property
    def left(self) -> int:
        """How many steps have not been started."""
        return len(self.steps) - len(self.running) - sum(self.counts.values())

    def entered(self, key: str, phase: Phase) -> StepTally:
        """Take note that a step is in a phase."""
        step = self.step(key)
        if step.began is None:
            step.began = time.monotonic()
            step.state = StepState.RUNNING
            self.running[key] = step
        step.phase = phase
        return step

    def decided(self, key: str, decision: Decision, run_id: str) -> StepTally:
        """Take note of a decision."""
        step = self.step(key)
        step.decision, step.run_id = decision, run_id
        return step

    def line(self, key: str, line: str) -> StepTally:
        """Take note of a line of output."""
        step = self.step(key)
        step.last_line = line
        return step

    def step_ended(self, key: str, status: str, detail: str) -> StepTally:
        """Take note of a step's end."""
        step = self.step(key)
        step.ended, step.detail = time.monotonic(), detail
        step.state = _ENDS.get(status, StepState.FAILED)
        if step.state is StepState.COMPLETED and step.reused_from:
            step.state = StepState.REUSED
        self.running.pop(key, None)
        self.counts[step.state] += 1
        self.seconds_saved += step.seconds_saved
        if step.state is not StepState.REUSED:
            self.last_ended.append(step)
        return step

    def finished(self, status: str) -> None:
        """Take note of the run's end."""
        self.status, self.ended = status, time.monotonic()

    def step(self, key: str) -> StepTally:
        """Return a step, a new one if the run did not announce it."""
        return self.steps.get(key) or self.steps.setdefault(key, StepTally(key, key))
