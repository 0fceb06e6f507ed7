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
_DIGEST_SHOWN = 12

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


def with_fields(step: Step) -> dict[str, Any]:
    """Return a step with its ``fields``, where it is known what its result depends on."""
    return {**step, "fields": _fields(step)} if step.get("preimage") else dict(step)


def _fields(step: Step) -> list[dict[str, str]]:
    """Return every field under the name by which a change is told, with its change; fields that are gone come last."""
    changes = {change["what"]: change["detail"] for change in step["changes"]}
    now = dict(_flat(step["preimage"]))
    names = [*now, *(name for name in changes if name not in now)]
    return [{"field": name, "now": now.get(name, "absent"), "change": changes.get(name, "")} for name in names]


def _why(step: Step) -> str:
    if "error" in step:
        return str(step["error"])
    if step.get("reused_from"):
        return f"from {short_id(step['reused_from'])}, which took {duration(step.get('seconds_saved', 0.0))}"
    detail = step.get("detail") or ""
    told = step["verdict"] == Verdict.UNDECIDED.value  # its detail tells the changes that are to be expected
    changes = [] if told else [f"{change['what']}: {change['detail']}" for change in step.get("changes", ())]
    return "; ".join([detail] * bool(detail) + changes)


def _flat(preimage: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "kind", str(preimage["kind"])
    yield "version", str(preimage["version"])
    yield "source", preimage["snapshot"][:_DIGEST_SHOWN] + (" (a part)" if preimage.get("is_part") else "")
    for index, token in enumerate(preimage["command"]):
        yield f"argument {index}", _token(token)
    for group, title in (("parameters", "parameter"), ("inputs", "input"), ("outputs", "output")):
        for name, value in preimage[group].items():
            yield f"{title} {name}", _token(value) if group == "parameters" else _settings(value)
    if preimage["after"]:
        yield "order", f"after {', '.join(map(short_id, preimage['after']))}"
    environment = preimage["environment"]
    yield "Python", environment["python"]
    yield "platform", environment["platform"]
    yield "packages", environment["packages"][:_DIGEST_SHOWN]
    for name, value in environment["variables"].items():
        yield f"environment variable {name}", value if isinstance(value, str) else "(secret)"


def _token(token: Sequence[Any]) -> str:
    kind, *values = token
    shown = [repr(value) for value in values]
    return " ".join(shown if kind in ("literal", "parameter") else [kind, *shown])


def _settings(value: Mapping[str, Any]) -> str:
    parts = [value["digest"][:_DIGEST_SHOWN]] if "digest" in value else []
    told = (f"{k} {v}" for k, v in sorted(value.items()) if k != "digest" and v not in (None, False, []))
    return ", ".join([*parts, *told])
