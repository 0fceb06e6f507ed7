"""Run view: what the page of a run shows, as plain values: the documents of the run, and how far its steps are."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from refrain.data.handle import DataHandle
from refrain.errors import DataError, RefrainError
from refrain.execution.duration import duration
from refrain.execution.sizes import size_text
from refrain.pipelines.documents import NOT_RUN, REUSED, run_document
from refrain.pipelines.fields import with_fields
from refrain.pipelines.run import PipelineRun
from refrain.tracking.metrics import RunLog, read_pipeline_log, read_step_log
from refrain.tracking.progress import latest_progress
from refrain.tracking.record import RunRecord, RunStatus, RunStore
from refrain.tracking.run_files import EVENTS
from refrain.tracking.run_id import short_id

WAITING = "waiting"
_COMPLETED, _FAILED = "completed", "failed"
_MOST_METRICS = 40
_MOST_POINTS = 400
_MOST_EVENT_BYTES = 8 * 2**20
_WIDTH, _HEIGHT = 240.0, 40.0
_MOST_OUTPUTS = 100


def run_view(run: PipelineRun, opened: Collection[str] | None = None) -> dict[str, Any]:
    """Return a pipeline run as its page shows it; steps are in the pipeline's order.

    :param opened: the keys of the steps of which everything is wanted; by default those that have failed.
    :raises RefrainError: when the workspace cannot be read.
    """
    root, records = run.record, {record.key: record for record in run.store.latest_steps(run.id)}
    document = run_document(root, records.values(), run.store)
    is_over = RunStatus(document["status"]).is_final
    order = {key: number for number, key in enumerate(root.steps)}
    steps = sorted(document["steps"], key=lambda step: order.get(step["key"], len(order)))
    if opened is None:
        opened = [step["key"] for step in steps if step["state"] == _FAILED]
    waiting = NOT_RUN if is_over else WAITING
    return {
        **document,
        "is_over": is_over,
        "states": {waiting if state == NOT_RUN else state: count for state, count in document["states"].items()},
        "steps": [
            {**step, "state": waiting}
            if step["state"] == NOT_RUN
            else {**step, **_shown(run, records[step["key"]], step["state"], is_open=step["key"] in opened)}
            for step in steps
        ],
        "metrics": _metrics(_logged_for_all(run, records.values())) if is_over else [],
    }


def _shown(run: PipelineRun, record: RunRecord, state: str, *, is_open: bool) -> dict[str, Any]:
    """Return what there is beside the document of a step: how far it is, and all the rest if it is open."""
    is_told = state != REUSED and (is_open or state != _COMPLETED)
    progress = _progress(run.store.files(record.run_id).path(EVENTS)) if is_told else None
    if not is_open:
        return {"progress": progress}
    return {
        "progress": progress,
        "is_open": True,
        "fields": with_fields(record.decision).get("fields", []),
        "note": record.decision.get("note", ""),
        "origin": _origin(run.store, record) if state == REUSED else None,
        "outputs": list(islice(_outputs(record), _MOST_OUTPUTS)),
        "metrics": _metrics(_logged(run.store, record)),
    }


def _origin(runs: RunStore, record: RunRecord) -> dict[str, str]:
    """Return who made the result of a reused step: the id of its run, and the DAG run, where it was one."""
    try:
        origin = runs.get(record.made_by.partition(".")[0]).origin
    except RefrainError:  # cleaned away meanwhile
        origin = {}
    return {"title": short_id(record.made_by), **{name: str(origin.get(name) or "") for name in ("dag_id", "run_id")}}


def _outputs(record: RunRecord) -> Iterator[dict[str, str]]:
    for name, stored in record.outputs.items():
        try:
            handle = DataHandle.from_json(stored)
        except DataError as error:
            yield {"name": name, "files": "", "size": "", "location": str(error)}
            continue
        version = record.registered.get(name) or {}
        kept = f"{version['name']} version {version['version']}" if version else ""
        size = size_text(handle.bytes)
        yield {"name": name, "files": f"{handle.files:,}", "size": size, "location": handle.location, "kept": kept}


# ---- how far


def _progress(path: Path | None) -> dict[str, Any] | None:
    event = None if path is None else latest_progress(path)
    try:
        return None if event is None else progress_view(event)
    # The file is the script's, too, which may write anything.
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None


def progress_view(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event of progress in words: that of a copy, or that of a parallel run.

    :raises KeyError, TypeError, ValueError: when it is neither.
    """
    return _copied(event) if "all_bytes" in event else _mini_batches(event)


def _copied(event: Mapping[str, Any]) -> dict[str, Any]:
    done, total, rate = (float(event[name]) for name in ("bytes", "all_bytes", "rate"))
    left = [f"{duration((total - done) / rate)} left"] if rate > 0 and done < total else []
    files = f"{int(event['files']):,} of {int(event['all_files']):,} files"
    facts = [files, f"{size_text(done)} of {size_text(total)}", f"{size_text(rate)}/s", *left]
    return {"done": done, "all": total or 1.0, "facts": facts, "workers": []}


def _mini_batches(event: Mapping[str, Any]) -> dict[str, Any]:
    done, total = int(event["done"]), event["all"]
    counted = f"{done:,} mini-batches done" if total is None else f"{done:,} of {int(total):,} mini-batches"
    facts = [counted]
    facts += [f"{int(event['kept']):,} by an earlier try"] if event.get("kept") else []
    facts += [f"{int(event['failed']):,} failed", f"{int(event['retried']):,} retried"]
    facts += [f"{int(event['queued']):,} queued"] if event.get("queued") is not None else []
    facts += [f"{float(event['rate']):,.1f}/s"]
    facts += [f"{duration(float(event['eta']))} left"] if event.get("eta") is not None else []
    workers = [
        {"name": str(name), "state": str(state), "since": duration(float(seconds))}
        for name, state, seconds in event.get("workers", ())
    ]
    return {"done": done, "all": int(total) if total else None, "facts": facts, "workers": workers}


# ---- metrics


def _logged(runs: RunStore, record: RunRecord) -> RunLog:
    path = _events(runs, record)
    return RunLog(record.run_id) if path is None else read_step_log(path, record.run_id).own


def _logged_for_all(run: PipelineRun, records: Iterable[RunRecord]) -> RunLog:
    """Return what the steps' scripts logged for the pipeline run above them."""
    return read_pipeline_log(filter(None, (_events(run.store, record) for record in records)), run.id)


def _events(runs: RunStore, record: RunRecord) -> Path | None:
    """Return the file of events behind a step run; None without one, and for one too large to be read at each look."""
    path = runs.files(record.made_by).path(EVENTS)
    return None if path is None or path.stat().st_size > _MOST_EVENT_BYTES else path


def _metrics(logged: RunLog) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "value": _value(value),
            "chart": chart([point.value for point in logged.series.get(name, ())]),
            "title": logged.descriptions.get(name, ""),
        }
        for name, value in islice(logged.metrics.items(), _MOST_METRICS)
    ]


def _value(value: Any) -> str:
    latest = value[-1] if isinstance(value, list) and value else value
    if isinstance(latest, float):
        return f"{latest:.6g}"
    return f"{len(latest)} columns" if isinstance(latest, dict) else str(latest)


def chart(values: Sequence[Any]) -> dict[str, str] | None:
    """Return the points of a line through the values, for SVG, with its extremes; None for what makes no line."""
    numbers = [float(v) for v in values if isinstance(v, int | float) and math.isfinite(v)]
    if len(numbers) < 2:
        return None
    stride = -(-len(numbers) // _MOST_POINTS)
    drawn = [*numbers[:-1:stride], numbers[-1]]
    low, high = min(drawn), max(drawn)
    across, up = _WIDTH / (len(drawn) - 1), _HEIGHT / (high - low) if high > low else 0.0
    line = " ".join(f"{i * across:.1f},{_HEIGHT - (value - low) * up:.1f}" for i, value in enumerate(drawn))
    return {"points": line, "low": f"{min(numbers):.6g}", "high": f"{max(numbers):.6g}", "count": f"{len(numbers):,}"}
