"""``refrain gc``: what a workspace need not keep, and its removal."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

from refrain.cli.answer import Answer
from refrain.cli.found_workspace import open_workspace
from refrain.execution.cleaning import Cleaning, Waste, WasteKind
from refrain.execution.sizes import bytes_of, size_text
from refrain.execution.table import Column, render
from refrain.storage.retention import Retention, retention, set_retention
from refrain.tracking.run_id import short_id

_COLUMNS = (Column("WHAT"), Column("COUNT", is_number=True), Column("SIZE", is_number=True), Column("WHY"))
_MOST_RUNS = 20


def gc(options: argparse.Namespace) -> Answer:
    """Say what could go and why; with ``--delete`` remove it.

    :raises UserError: for a limit that is none.
    """
    workspace = open_workspace(options)
    limits = _limits(options, retention(workspace.state.registry))
    if options.save:
        set_retention(workspace.state.registry, limits)
    cleaning = Cleaning(workspace.state, limits)
    found = cleaning.clean() if options.delete else cleaning.plan()
    return Answer(_document(found, limits, options.delete), tuple(_lines(found, limits, options.delete)))


def _limits(options: argparse.Namespace, stored: Retention) -> Retention:
    given = {
        "days": options.days,
        "runs": options.runs,
        "bytes": None if options.bytes is None else bytes_of(options.bytes, "--bytes"),
        "grace_days": options.grace,
    }
    return replace(stored, **{name: value for name, value in given.items() if value is not None})


def _document(found: list[Waste], limits: Retention, is_deleted: bool) -> dict[str, object]:
    return {
        "deleted": is_deleted,
        "retention": vars(limits),
        "bytes": sum(waste.bytes for waste in found if waste.is_due),
        "waiting_bytes": sum(waste.bytes for waste in found if not waste.is_due),
        "waste": [{**vars(waste), "kind": waste.kind.value} for waste in found],
    }


def _lines(found: list[Waste], limits: Retention, is_deleted: bool) -> Iterator[str]:
    if not found:
        yield "There is nothing to remove."
    else:
        yield from render(_COLUMNS, _rows(found))
        yield from ("", *_totals(found, limits, is_deleted))
    if limits.is_unlimited:
        yield "Every run stays, because no limit is set: give --days, --runs or --bytes, with --save for the next time."


def _rows(found: list[Waste]) -> Iterator[tuple[str, ...]]:
    """Name the runs, and count what is too small and too many to be named."""
    runs = [waste for waste in found if waste.kind is WasteKind.STEP]
    for waste in runs[:_MOST_RUNS]:
        yield f"{waste.kind.value} {short_id(waste.name)}", "1", size_text(waste.bytes), waste.reason
    rest = [*runs[_MOST_RUNS:], *(waste for waste in found if waste.kind is not WasteKind.STEP)]
    groups: dict[tuple[str, str], list[Waste]] = {}
    for waste in rest:
        groups.setdefault((waste.kind.value, waste.reason), []).append(waste)
    for (kind, reason), members in groups.items():
        yield f"{kind}s", str(len(members)), size_text(sum(member.bytes for member in members)), reason


def _totals(found: list[Waste], limits: Retention, is_deleted: bool) -> Iterator[str]:
    due = size_text(sum(waste.bytes for waste in found if waste.is_due))
    waiting = [waste for waste in found if not waste.is_due]
    yield f"Removed {due}." if is_deleted else f"{due} can go. Nothing was removed; --delete does it."
    if waiting:
        when = f"{size_text(sum(waste.bytes for waste in waiting))} of {len(waiting)} step runs"
        after = f"the first 'refrain gc --delete' that comes {limits.grace_days:g} days later removes"
        taken = "are reused no more from now on" if is_deleted else "would be reused no more"
        yield f"{when} {taken}; {after} them, unless a run has used them meanwhile."
