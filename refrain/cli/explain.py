"""``refrain explain``: what a run would reuse, and what stands in the way."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from refrain.cli.answer import FAILED, OK, Answer
from refrain.cli.load import forced, given_parameters, load_pipeline
from refrain.errors import RefrainError
from refrain.execution.duration import duration
from refrain.execution.table import Column, render
from refrain.pipelines.local import explain_pipeline
from refrain.reuse.decision import Decision, Verdict
from refrain.steps.definition import StepDefinition
from refrain.tracking.run_id import short_id

_STEPS = (Column("STEP"), Column("VERDICT"), Column("WHY"))
_FIELDS = (Column("FIELD"), Column("NOW"), Column("CHANGE"))
_DIGEST_SHOWN = 12

Explained = Decision | RefrainError


def explain(options: argparse.Namespace) -> Answer:
    """Say per step whether it would be reused, and why not.

    :raises UserError: when the command line, the file or the parameters are wrong.
    :raises UnknownNameError: for a step that is not there.
    """
    pipeline = load_pipeline(options)
    definition = pipeline.definition
    chosen = definition.step(options.step) if options.step else None
    found = explain_pipeline(pipeline, given_parameters(definition, options.param), forced(options))
    steps = [step for step in definition.steps if chosen is None or step.key == chosen.key]
    document = {"pipeline": definition.name, "steps": [_document(step, found[step.key], chosen) for step in steps]}
    lines = _overview(definition.steps, found) if chosen is None else _details(chosen, found[chosen.key])
    is_broken = any(isinstance(found[step.key], RefrainError) for step in steps)
    return Answer(document, tuple(lines), FAILED if is_broken else OK)


def _overview(steps: tuple[StepDefinition, ...], found: Mapping[str, Explained]) -> Iterator[str]:
    yield from render(_STEPS, ((step.key, *_words(found[step.key])) for step in steps))
    decisions = [decision for decision in found.values() if isinstance(decision, Decision)]
    reused = [decision.record for decision in decisions if decision.record is not None]
    waiting = sum(decision.verdict is Verdict.UNDECIDED for decision in decisions)
    parts = [f"{len(reused)} of {len(steps)} steps would be reused ({duration(sum(r.seconds for r in reused))} saved)"]
    if waiting:
        parts.append(f"{waiting} can only be decided once those before them have run")
    yield "; ".join(parts) + "."


def _words(explained: Explained) -> tuple[str, str]:
    if isinstance(explained, RefrainError):
        return "error", str(explained)
    if explained.record is not None:
        record = explained.record
        return explained.verdict.value, f"from {short_id(record.run_id)}, which took {duration(record.seconds)}"
    return explained.verdict.value, "; ".join(
        [explained.detail] * bool(explained.detail) + [str(c) for c in explained.changes]
    )


def _details(step: StepDefinition, explained: Explained) -> Iterator[str]:
    verdict, why = _words(explained)
    yield f"{step.key}: {verdict}" + (f": {why}" if why else "")
    if isinstance(explained, RefrainError) or explained.preimage is None:
        return
    if explained.nearest is not None:
        yield f"Compared with {short_id(explained.nearest.run_id)}, the most similar earlier result."
    yield ""
    yield from render(_FIELDS, ((row["field"], row["now"], row["change"]) for row in _fields(explained)))
    yield f"fingerprint {explained.fingerprint}"


def _document(step: StepDefinition, explained: Explained, chosen: StepDefinition | None) -> dict[str, Any]:
    document: dict[str, Any] = {"key": step.key, "name": step.name}
    if isinstance(explained, RefrainError):
        return {**document, "verdict": "error", "error": str(explained)}
    record = explained.record
    document |= explained.to_json() | {"seconds_saved": record.seconds if record else 0.0}
    if chosen is not None and explained.preimage is not None:
        document |= {"preimage": explained.preimage, "fields": _fields(explained)}
        document["compared_with"] = explained.nearest.run_id if explained.nearest else None
    return document


def _fields(decision: Decision) -> list[dict[str, str]]:
    """Return every field under the name by which a change is told, with its change; fields that are gone come last."""
    changes = {change.what: change.detail for change in decision.changes}
    now = dict(_flat(decision.preimage or {}))
    names = [*now, *(name for name in changes if name not in now)]
    return [{"field": name, "now": now.get(name, "absent"), "change": changes.get(name, "")} for name in names]


def _flat(preimage: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "kind", str(preimage["kind"])
    yield "version", str(preimage["version"])
    yield "source", preimage["snapshot"][:_DIGEST_SHOWN]
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


def _token(token: list[Any]) -> str:
    kind, *values = token
    shown = [repr(value) for value in values]
    return " ".join(shown if kind in ("literal", "parameter") else [kind, *shown])


def _settings(value: Mapping[str, Any]) -> str:
    parts = [value["digest"][:_DIGEST_SHOWN]] if "digest" in value else []
    return ", ".join([*parts, *(f"{k} {v}" for k, v in value.items() if k != "digest" and v not in (None, False, []))])
