"""``refrain reuse``: pin and forget results, say why a step ran, and count what reuse saved."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from refrain.cli.answer import Answer
from refrain.cli.explain import explain_run
from refrain.cli.found_run import find_run
from refrain.cli.found_workspace import open_workspace
from refrain.cli.runs_list import moment
from refrain.execution.duration import duration, parse_duration
from refrain.execution.sizes import size_text
from refrain.execution.table import Column, render
from refrain.pipelines.reuse import Results, StepStats
from refrain.reuse.record import ReuseRecord
from refrain.tracking.run_id import short_id

_RESULTS = (
    Column("RESULT"),
    Column("PIPELINE"),
    Column("STEP"),
    Column("MADE"),
    Column("TOOK", is_number=True),
    Column("SIZE", is_number=True),
)
_STATS = (
    Column("PIPELINE"),
    Column("STEP"),
    Column("REUSED", is_number=True),
    Column("RAN", is_number=True),
    Column("SAVED", is_number=True),
    Column("RESULTS", is_number=True),
    Column("KEPT", is_number=True),
    Column("WHY IT RAN"),
)


def pin(options: argparse.Namespace) -> Answer:
    """Pin the results of a run or of one step of it.

    :raises UserError: when a result is not kept any more.
    """
    workspace = open_workspace(options)
    return _told("pinned", workspace.reuse.pin(_run_id(options), options.note))


def unpin(options: argparse.Namespace) -> Answer:
    """Take the pins off the results of a run or of one step of it."""
    workspace = open_workspace(options)
    return _told("unpinned", workspace.reuse.unpin(_run_id(options)))


def forget(options: argparse.Namespace) -> Answer:
    """Mark results so that none of them is used again.

    :raises UserError: when nothing is said, or an age is none.
    """
    workspace = open_workspace(options)
    which = Results(
        fingerprint=options.fingerprint,
        pipeline=options.pipeline,
        step=options.step,
        run=_run_id(options) if options.run else None,
        older_than=parse_duration(options.older_than) if options.older_than else None,
    )
    found = workspace.reuse.forget(which, is_dry=options.dry_run)
    answer = _told("to be forgotten" if options.dry_run else "forgotten", found.results)
    spared = [record.run_id for record in found.spared]
    lines = answer.lines + ((f"{len(spared)} more are pinned and stay.",) if spared else ())
    return Answer({**answer.document, "spared": spared}, lines)


def why(options: argparse.Namespace) -> Answer:
    """Say why a run's steps ran or were reused; the same as ``refrain explain RUN``."""
    return explain_run(options, options.run)


def stats(options: argparse.Namespace) -> Answer:
    """Count what was reused, why the rest ran, and what is kept, by pipeline and step."""
    workspace = open_workspace(options)
    found = workspace.reuse.stats(options.pipeline, options.step)
    hits, runs = sum(s.hits for s in found), sum(s.hits + s.misses.total() for s in found)
    saved, kept = sum(s.seconds_saved for s in found), sum(s.bytes for s in found)
    document = {"steps": [vars(s) for s in found], "hits": hits, "runs": runs, "seconds_saved": saved, "bytes": kept}
    total = f"{hits} of {runs} step runs were reused, {duration(saved)} saved; {size_text(kept)} kept."
    return Answer(document, (*render(_STATS, map(_row, found)), total) if found else (total,))


def _run_id(options: argparse.Namespace) -> str:
    found = find_run(open_workspace(options), options.run)
    return found.step.id if found.step else found.run.id


def _told(what: str, records: Iterable[ReuseRecord]) -> Answer:
    found = list(records)
    rows = (
        (short_id(r.run_id), r.pipeline, r.step, moment(r.created), duration(r.seconds), size_text(r.bytes))
        for r in found
    )
    lines = render(_RESULTS, rows) if found else []
    count = f"{len(found)} {'result' if len(found) == 1 else 'results'} {what}."
    return Answer({"results": [_document(record) for record in found]}, (*lines, count))


def _document(record: ReuseRecord) -> dict[str, Any]:
    names = ("fingerprint", "run_id", "pipeline", "step", "seconds", "created", "bytes")
    return {name: getattr(record, name) for name in names}


def _row(stats: StepStats) -> tuple[str, ...]:
    reasons = ", ".join(f"{verdict} {count}" for verdict, count in stats.misses.most_common())
    numbers = (str(stats.hits), str(stats.misses.total()), duration(stats.seconds_saved), str(stats.results))
    return (stats.pipeline, stats.key, *numbers, size_text(stats.bytes), reasons)
