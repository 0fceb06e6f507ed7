"""References: what a step publishes over XCom, and how its consumers check it.

::

    {"schema": 1, "run_id": "…", "outputs": {name: {"uri", "digest", "kind", "files", "bytes"}}, "reused_from": null}

An XCom can be edited by any user of Airflow's API, so that what comes from one is only a claim: the run record in the
workspace decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from refrain.data.handle import DataHandle
from refrain.errors import RefrainError, UntrustedReferenceError, UserError
from refrain.execution.published import outputs_of, published_by
from refrain.execution.request import StepResult
from refrain.tracking.record import RunRecord, RunStatus, RunStore
from refrain.tracking.run_id import StepRunId

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


def step_key(task_id: str, map_index: int | None) -> str:
    """Return the key under which the workspace keeps a task's runs; each instance of a mapped task has its own."""
    return task_id if map_index is None or map_index < 0 else f"{task_id}-{map_index}"


def verified(reference: Any, task_id: str, root_id: str, runs: RunStore) -> dict[str, DataHandle]:
    """Return the outputs that a reference names, as the workspace knows them.

    :param task_id: whose reference it is.
    :param root_id: the pipeline run that the task belongs to.
    :raises UntrustedReferenceError: when it is no reference, or says something else than the record of the task's run.
    """
    return outputs_of(_record(reference, task_id, root_id, runs))


def verified_all(
    references: Sequence[Any], task_id: str, root_id: str, runs: RunStore, count: int
) -> list[dict[str, DataHandle]]:
    """Return the outputs of every instance of a mapped task, by map index.

    :param count: how many instances there are.
    :raises UntrustedReferenceError: as :func:`verified`, or when an instance has published nothing.
    """
    records = [_record(reference, task_id, root_id, runs) for reference in references]
    missing = {step_key(task_id, index) for index in range(count)} - {record.key for record in records}
    if missing or len(records) != count:
        raise UntrustedReferenceError(
            f"Of the {count} instances of task {task_id!r}, {len(records)} have published their outputs; "
            f"missing: {', '.join(sorted(missing)) or 'none'}. Clear those that were marked as success by hand."
        )
    return [outputs_of(record) for record in records]


def recorded(task_id: str, root_id: str, runs: RunStore) -> StepResult:
    """Return the result of a task that published nothing, as the workspace knows it.

    :raises UserError: when the task has completed in no try.
    """
    attempts = [record for record in runs.attempts(root_id, task_id) if _is_of(record, task_id)]
    done = [record for record in attempts if record.status is RunStatus.COMPLETED]
    if not done:
        raise UserError(
            f"Task {task_id!r} has not published its outputs, and the workspace has no completed run of it. If it was "
            "marked as success by hand, clear it, so that it runs."
        )
    return published_by(done[-1])


def _is_of(record: RunRecord, task_id: str) -> bool:
    """Say whether a step run is a task's, and not that of an instance of a mapped task with the same key."""
    return record.origin.get("task_id", task_id) == task_id  # type: ignore[no-any-return]


def _record(reference: Any, task_id: str, root_id: str, runs: RunStore) -> RunRecord:
    """Return the record of the step run that a reference claims to be of."""
    if not isinstance(reference, Mapping) or not isinstance(reference.get("run_id"), str):
        raise UntrustedReferenceError(
            f"Task {task_id!r} published {str(reference)[:200]!r}, which is no reference to data. Clear the task to "
            "run it again."
        )
    if reference.get("schema", 0) != SCHEMA:
        raise UntrustedReferenceError(
            f"Task {task_id!r} published a reference of schema {reference.get('schema')!r}; this Refrain reads "
            f"schema {SCHEMA}."
        )
    try:
        run_id = StepRunId.parse(reference["run_id"])
        record = runs.get(str(run_id))
    except (RefrainError, ValueError) as error:
        raise UntrustedReferenceError(
            f"Task {task_id!r} refers to run {reference['run_id'][:200]!r}: {error}"
        ) from error
    is_key = re.fullmatch(re.escape(task_id) + r"(-\d+)?", run_id.key)
    is_own = run_id.root == root_id and is_key and _is_of(record, task_id)
    claimed = reference.get("outputs")
    is_equal = claimed is None or claimed == dict(record.outputs)
    if not is_own or record.status is not RunStatus.COMPLETED or not is_equal:
        raise UntrustedReferenceError(
            f"The reference that task {task_id!r} published does not match the record of its run in the "
            "workspace. It was edited, or the workspace is another one. Clear the task to run it again."
        )
    return record
