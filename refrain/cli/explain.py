"""``refrain explain``: what a run would reuse, or what one has reused, and what stands in the way."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refrain.cli.answer import FAILED, OK, Answer
from refrain.cli.explanation import details, overview
from refrain.cli.load import forced, given_parameters, load_pipeline
from refrain.errors import RefrainError
from refrain.execution.preview import Explained
from refrain.pipelines.fields import with_fields
from refrain.pipelines.local import explain_pipeline
from refrain.reuse.lookup import Lookup
from refrain.steps.definition import StepDefinition
from refrain.steps.sharing import shared_sources
from refrain.tracking.record import RunRecord

if TYPE_CHECKING:
    from refrain.cli.found_run import FoundRun

_RUN = re.compile(r"[0-9a-f]{2,32}(\.[^:]+)?")  # without what FILE:NAME has


def explain(options: argparse.Namespace) -> Answer:
    """Say per step whether it would be reused, and why not; of a run, whether it was.

    :raises UserError: when the command line, the file or the parameters are wrong.
    :raises UnknownNameError: for a step that is not there.
    :raises RunNotFoundError: for a run that is not there.
    """
    named = options.target or ""
    if _RUN.fullmatch(named) and not Path(named).exists():
        return explain_run(options, f"{named}.{options.step}" if options.step else named)
    return _explain_pipeline(options)


def explain_run(options: argparse.Namespace, run: str | None) -> Answer:
    """Say why a run's steps ran or were reused: the same that was decided then, from the run's own records."""
    from refrain.cli.found_run import find_run
    from refrain.cli.found_workspace import open_workspace

    workspace = open_workspace(options)
    found = find_run(workspace, run)
    lookup, record = Lookup(workspace.state), found.run.record
    steps = [_recorded(step, lookup) for step in _records(found)]
    document = {"pipeline": record.pipeline, "run_id": record.run_id, "steps": steps, "warnings": []}
    return Answer(document, tuple(details(steps[0]) if found.step else overview(steps, is_over=True)))


def _explain_pipeline(options: argparse.Namespace) -> Answer:
    pipeline = load_pipeline(options)
    definition = pipeline.definition
    chosen = definition.step(options.step) if options.step else None
    found = explain_pipeline(pipeline, given_parameters(definition, options.param), forced(options))
    steps = [_document(step, found[step.key]) for step in definition.steps if chosen in (None, step)]
    warnings = list(shared_sources(definition).values())
    document = {"pipeline": definition.name, "steps": steps, "warnings": warnings}
    lines = [f"Warning: {warning}" for warning in warnings]
    lines += details(steps[0]) if chosen else overview(steps, is_over=False)
    return Answer(document, tuple(lines), FAILED if any("error" in step for step in steps) else OK)


def _records(found: FoundRun) -> list[RunRecord]:
    return [found.step.record] if found.step else found.run.store.latest_steps(found.run.id)


def _document(step: StepDefinition, explained: Explained) -> dict[str, Any]:
    document: dict[str, Any] = {"key": step.key, "name": step.name}
    if isinstance(explained, RefrainError):
        return {**document, "verdict": "error", "error": str(explained)}
    return with_fields(document | explained.to_json() | {"preimage": explained.preimage})


def _recorded(record: RunRecord, lookup: Lookup) -> dict[str, Any]:
    """Return what a step run's record says; a reused step's preimage is in the record that it was reused from."""
    decision = dict(record.decision)
    if not decision:
        return {"key": record.key, "name": record.name, "verdict": "not decided", "detail": record.error}
    if decision.get("preimage") is None:
        earlier = lookup.recall(record.fingerprint)
        decision["preimage"] = earlier.preimage if earlier else None
    return with_fields({"key": record.key, "name": record.name, "run_id": record.run_id, **decision})
