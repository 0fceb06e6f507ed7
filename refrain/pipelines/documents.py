"""Documents: runs and steps as JSON values, the same from every command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from refrain.execution.run_folder import LOG_FILE
from refrain.pipelines.backends import backend
from refrain.pipelines.run import PipelineRun
from refrain.tracking.record import RunRecord, RunStatus, RunStore

REUSED = "reused"
NOT_RUN = "not run"
_KILLED = "The process that ran it ended before the run did."


def status_of(record: RunRecord) -> RunStatus:
    """Return a pipeline run's status; a local run whose process is gone has failed, whatever its record says."""
    if record.origin.get("kind", "local") != "local":
        return record.status
    return backend("local").status(record)


def state_of(record: RunRecord, root: RunStatus) -> str:
    """Return a step's state in one lower-case word; nothing runs any more in a run that is over."""
    if record.reused_from is not None:
        return REUSED
    if root.is_final and not record.status.is_final:
        return root.value.lower()
    return record.status.value.lower()


def run_document(record: RunRecord, steps: Iterable[RunRecord], store: RunStore) -> dict[str, Any]:
    """Return a pipeline run with its steps, those that never ran included."""
    status = status_of(record)
    found = {step.key: step_document(step, store, status) for step in steps}
    for key in record.steps:
        found.setdefault(key, {"key": key, "name": key, "state": NOT_RUN})
    states = Counter(step["state"] for step in found.values())
    return {
        "run_id": record.run_id,
        "pipeline": record.pipeline,
        "experiment": record.experiment,
        "status": status.value,
        "created": record.created,
        "started": record.started,
        "ended": record.ended,
        "seconds": seconds_of(record, status),
        "seconds_saved": sum(step.get("seconds_saved", 0.0) for step in found.values()),
        "states": dict(states),
        "parameters": dict(record.parameters),
        "error": record.error or (_KILLED if status is RunStatus.FAILED else ""),
        "steps": list(found.values()),
    }


def step_document(record: RunRecord, store: RunStore, root: RunStatus) -> dict[str, Any]:
    """Return a step run."""
    return {
        "run_id": record.run_id,
        "key": record.key,
        "name": record.name,
        "state": state_of(record, root),
        "verdict": record.decision.get("verdict"),
        "sentence": record.decision.get("sentence", ""),
        "changes": record.decision.get("changes", []),
        "reused_from": record.reused_from,
        "seconds": seconds_of(record, root),
        "seconds_saved": record.seconds_saved,
        "started": record.started,
        "ended": record.ended,
        "parameters": dict(record.parameters),
        "outputs": {name: dict(handle) for name, handle in record.outputs.items()},
        "error": record.error,
        "log": log_path(record, store),
    }


def seconds_of(record: RunRecord, status: RunStatus) -> float | None:
    """Return how long a run took, or has taken so far; None when its end is unknown."""
    return None if status.is_final and record.ended is None else record.seconds


def log_path(record: RunRecord, store: RunStore) -> str | None:
    """Return the log behind a step run, of a reused step that of the run that made the result; None without one."""
    return store.files(record.made_by).location(LOG_FILE)


def document_of(run: PipelineRun) -> dict[str, Any]:
    """Return a pipeline run as it is now."""
    return run_document(run.record, run.store.latest_steps(run.id), run.store)
