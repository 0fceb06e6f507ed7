"""References: what a step publishes over XCom, and how its consumers check it.

::

    {"schema": 1, "run_id": "…", "outputs": {name: {"uri", "digest", "kind", "files", "bytes"}}, "reused_from": null}

An XCom can be edited by any user of Airflow's API, so that what comes from one is only a claim: the run record in the
workspace decides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from refrain.data.handle import DataHandle
from refrain.errors import RefrainError, UntrustedReferenceError
from refrain.execution.request import StepResult
from refrain.tracking.record import RunRecord, RunStatus, RunStore

SCHEMA = 1
MAX_BYTES = 8 * 1024


def published(result: StepResult) -> dict[str, Any]:
    """Return the XCom value of a step; outputs that would not fit into 8 KB are left to the run record."""
    reference: dict[str, Any] = {
        "schema": SCHEMA,
        "run_id": result.run_id,
        "outputs": {name: handle.to_json() for name, handle in result.outputs.items()},
        "reused_from": result.reused_from,
    }
    if len(json.dumps(reference)) > MAX_BYTES:
        reference["outputs"] = None
    return reference


def verified(reference: Any, task_id: str, runs: RunStore) -> dict[str, DataHandle]:
    """Return the outputs that a reference names, as the workspace knows them.

    :raises UntrustedReferenceError: when it is no reference, or says something else than the run's record.
    """
    if not isinstance(reference, Mapping) or not isinstance(reference.get("run_id"), str):
        raise UntrustedReferenceError(
            f"Task {task_id!r} published {str(reference)[:200]!r}, which is no reference to data. Clear the task to run "
            "it again."
        )
    if reference.get("schema", 0) != SCHEMA:
        raise UntrustedReferenceError(
            f"Task {task_id!r} published a reference of schema {reference.get('schema')!r}; this Refrain reads {SCHEMA}."
        )
    try:
        record = runs.get(reference["run_id"])
    except (RefrainError, ValueError) as error:
        raise UntrustedReferenceError(f"Task {task_id!r} refers to run {reference['run_id'][:200]!r}: {error}") from error
    outputs = outputs_of(record)
    claimed = reference.get("outputs")
    if record.status is not RunStatus.COMPLETED or (claimed is not None and claimed != dict(record.outputs)):
        raise UntrustedReferenceError(
            f"The reference that task {task_id!r} published does not match the record of run {record.run_id} in the "
            "workspace. It was edited, or the workspace is another one. Clear the task to run it again."
        )
    return outputs


def outputs_of(record: RunRecord) -> dict[str, DataHandle]:
    """Return the outputs of a run record."""
    return {name: DataHandle.from_json(handle) for name, handle in record.outputs.items()}
