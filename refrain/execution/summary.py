"""Summary: how a run went, as a table and a line of totals."""

from __future__ import annotations

from refrain.execution.duration import duration
from refrain.execution.table import Column, render
from refrain.execution.tally import RunTally, StepState, StepTally
from refrain.tracking.run_id import short_id

STEP_COLUMNS = (
    Column("STEP"),
    Column("STATE"),
    Column("TIME", is_number=True),
    Column("SAVED", is_number=True),
    Column("REUSED FROM"),
    Column("WHY IT RAN"),
)
"""Of a table of a run's steps, as it ends and afterwards."""

_MOST_ROWS = 40


def summary(run: RunTally) -> list[str]:
    """Return the lines of a run's summary; of a long run, what was reused or never ran is only counted."""
    steps = list(run.steps.values())
    if len(steps) > _MOST_ROWS:
        steps = [step for step in steps if step.state not in (StepState.REUSED, StepState.WAITING)]
        steps.sort(key=lambda step: step.state is StepState.COMPLETED)  # what went wrong comes first
    shown = steps[:_MOST_ROWS]
    lines = render(STEP_COLUMNS, (_row(step) for step in shown)) if shown else []
    if shown and len(shown) < len(run.steps):
        lines.append(f"… and {len(run.steps) - len(shown)} more steps")
    return [*lines, totals(run)]


def totals(run: RunTally) -> str:
    """Return the last line: status, counts, time, what was saved and the run's id."""
    saved = f", {duration(run.seconds_saved)} saved" if run.counts[StepState.REUSED] else ""
    return f"{run.name}: {run.status} in {duration(run.seconds)}; {counts(run)}{saved}; run {run.run_id}"


def counts(run: RunTally) -> str:
    """Return how many steps are in which state, leaving out those that none is in."""
    words = (
        (run.counts[StepState.COMPLETED], "run"),
        (run.counts[StepState.REUSED], "reused"),
        (run.counts[StepState.FAILED], "failed"),
        (run.counts[StepState.CANCELED], "canceled"),
        (run.left if run.ended else 0, "not run"),
    )
    return ", ".join(f"{count} {word}" for count, word in words if count) or "0 run"


def _row(step: StepTally) -> tuple[str, ...]:
    return (
        step.name if step.name == step.key else f"{step.name} ({step.key})",
        step.state.value,
        duration(step.seconds) if step.began is not None else "",
        duration(step.seconds_saved) if step.state is StepState.REUSED else "",
        short_id(step.reused_from),
        step.reason,
    )
