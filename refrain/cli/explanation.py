"""Explanation: the decisions on steps as lines, from the one document that is kept and shown everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from refrain.execution.duration import duration
from refrain.execution.table import Column, render
from refrain.reuse.decision import Verdict
from refrain.tracking.run_id import short_id

_STEPS = (Column("STEP"), Column("VERDICT"), Column("WHY"))
_FIELDS = (Column("FIELD"), Column("NOW"), Column("CHANGE"))
Step = Mapping[str, Any]
"""A step's key and name, with :meth:`refrain.reuse.decision.Decision.to_json`, or an ``error``."""


def overview(steps: Sequence[Step], *, is_over: bool) -> Iterator[str]:
    """Return the lines of a pipeline's steps.

    :param is_over: whether this is a run that was, rather than one that would be.
    """
    yield from render(_STEPS, ((step["key"], step["verdict"], _why(step)) for step in steps))
    reused = [step for step in steps if step.get("reused_from")]
    waiting = sum(step["verdict"] == Verdict.UNDECIDED.value for step in steps)
    saved = duration(sum(step.get("seconds_saved", 0.0) for step in reused))
    parts = [f"{len(reused)} of {len(steps)} steps {'were' if is_over else 'would be'} reused ({saved} saved)"]
    if waiting:
        parts.append(f"{waiting} can only be decided once those before them have run")
    yield "; ".join(parts) + "."


def details(step: Step) -> Iterator[str]:
    """Return the lines of one step: the verdict, and every field that its result depends on."""
    why = _why(step)
    yield f"{step['key']}: {step['verdict']}" + (f": {why}" if why else "")
    if step.get("note"):
        yield f"Note: {step['note']}"
    if "fields" not in step:
        return
    if step.get("compared_with"):
        yield f"Compared with {short_id(step['compared_with'])}, the most similar earlier result."
    yield ""
    yield from render(_FIELDS, ((row["field"], row["now"], row["change"]) for row in step["fields"]))
    yield f"fingerprint {step['fingerprint']}"


def _why(step: Step) -> str:
    if "error" in step:
        return str(step["error"])
    if step.get("reused_from"):
        return f"from {short_id(step['reused_from'])}, which took {duration(step.get('seconds_saved', 0.0))}"
    detail = step.get("detail") or ""
    told = step["verdict"] == Verdict.UNDECIDED.value  # its detail tells the changes that are to be expected
    changes = [] if told else [f"{change['what']}: {change['detail']}" for change in step.get("changes", ())]
    return "; ".join([detail] * bool(detail) + changes)
