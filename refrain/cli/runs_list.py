"""``refrain runs list``: the runs of a workspace, newest first."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import datetime, timezone
from itertools import islice
from typing import Any

from refrain.cli.answer import Answer
from refrain.cli.found_workspace import open_workspace
from refrain.errors import UserError
from refrain.execution.duration import duration
from refrain.execution.table import Column, render
from refrain.pipelines.documents import REUSED, run_document
from refrain.tracking.record import RunRecord, RunStore
from refrain.tracking.run_id import short_id

_LIMIT = 20
_COLUMNS = (
    Column("RUN"),
    Column("PIPELINE"),
    Column("EXPERIMENT"),
    Column("STATUS"),
    Column("STARTED"),
    Column("TIME", is_number=True),
    Column("RAN", is_number=True),
    Column("REUSED", is_number=True),
    Column("SAVED", is_number=True),
)
_RAN = ("completed", "failed", "canceled", "running", "preparing", "finalizing")


def runs_list(options: argparse.Namespace) -> Answer:
    """List runs with how long they took and what they saved.

    :raises WorkspaceError: when there is no workspace.
    """
    limit = getattr(options, "limit", _LIMIT)
    if limit < 0:
        raise UserError(f"--limit must be 0 or more, not {limit}.")
    workspace = open_workspace(options)
    store = RunStore(workspace.state)
    matching = (record for record in store.roots() if _is_wanted(record, options))
    runs = [run_document(r, store.latest_steps(r.run_id), store) for r in islice(matching, limit or None)]
    document = {"workspace": workspace.root, "runs": [{k: v for k, v in run.items() if k != "steps"} for run in runs]}
    if not runs:
        return Answer(document, (f"No runs in the workspace {workspace.root}. Start one with: refrain run FILE",))
    return Answer(document, tuple(render(_COLUMNS, map(_row, runs))))


def moment(seconds: float | None) -> str:
    """Return a time as this machine's clocks show it; empty for None."""
    if seconds is None:
        return ""
    return f"{datetime.fromtimestamp(seconds, timezone.utc).astimezone():%Y-%m-%d %H:%M:%S}"


def _is_wanted(record: RunRecord, options: argparse.Namespace) -> bool:
    wanted = {name: getattr(options, name, None) for name in ("pipeline", "experiment")}
    return all(value is None or getattr(record, name) == value for name, value in wanted.items())


def _row(run: Mapping[str, Any]) -> tuple[str, ...]:
    states = run["states"]
    return (
        short_id(run["run_id"]),
        run["pipeline"],
        run["experiment"],
        run["status"],
        moment(run["started"]),
        "" if run["seconds"] is None else duration(run["seconds"]),
        str(sum(states.get(state, 0) for state in _RAN)),
        str(states.get(REUSED, 0)),
        duration(run["seconds_saved"]) if states.get(REUSED) else "",
    )
