"""Plan: which steps of a DAG run a planning task has short-circuited, as an XCom for the steps behind them.

::

    {"schema": 1, "reused": ["prepare", "train"]}

It says only which skipped tasks were reused; what their results are stands in the run records of the workspace.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from airflow.sdk import TaskInstanceState
from airflow.sdk.exceptions import AirflowSkipException

from refrain.errors import UntrustedReferenceError

log = logging.getLogger("refrain.plan")

KEY = "plan"
SCHEMA = 1
_ENDED = {
    TaskInstanceState.SUCCESS,
    TaskInstanceState.FAILED,
    TaskInstanceState.SKIPPED,
    TaskInstanceState.UPSTREAM_FAILED,
    TaskInstanceState.REMOVED,
}


class UnfinishedPlan(Exception):
    """A planning task is at work, as when it was cleared: only its plan will tell why a task was skipped."""


def plan(reused: Iterable[str]) -> dict[str, Any]:
    """Return the XCom value that names the reused tasks."""
    return {"schema": SCHEMA, "reused": sorted(reused)}


def reused_of(value: Any, sensor_id: str) -> frozenset[str]:
    """Return the tasks that a plan names; none where a planning task left no plan.

    :raises UntrustedReferenceError: when it is no plan.
    """
    if value is None:  # it was marked as success by hand
        return frozenset()
    reused = value.get("reused") if isinstance(value, dict) and value.get("schema") == SCHEMA else None
    if not isinstance(reused, list) or not all(isinstance(task_id, str) for task_id in reused):
        raise UntrustedReferenceError(
            f"The planning task {sensor_id!r} published {str(value)[:200]!r}, which is no plan. Clear it and the tasks "
            "behind it to plan again."
        )
    return frozenset(reused)


def states_of(instance: Any, task_ids: Iterable[str]) -> dict[str, str]:
    """Return the states of tasks of the same DAG run, by task id; instances of mapped tasks as ``task_index``."""
    found = instance.get_task_states(dag_id=instance.dag_id, task_ids=sorted(task_ids), run_ids=[instance.run_id])
    return dict(found.get(instance.run_id, {}))


def planned_before(operator: Any, context: Any) -> frozenset[str]:
    """Return which tasks right before a step were short-circuited because they are reused.

    :raises AirflowSkipException: when another task before it was skipped, as Airflow's own rule would skip the step; it
        cannot tell the two apart.
    :raises UnfinishedPlan: when it is not known yet why one was skipped.
    """
    if not operator.planned_by:
        return frozenset()
    instance = context["ti"]
    not_before = set(operator.planned_by) - operator.upstream_task_ids
    states = states_of(instance, {*operator.upstream_task_ids, *not_before})
    skipped = {name for name, state in states.items() if state == TaskInstanceState.SKIPPED} - not_before
    if not skipped:
        return frozenset()
    unfinished = [name for name in operator.planned_by if name in states and states[name] not in _ENDED]
    if unfinished:
        raise UnfinishedPlan(f"Whether {', '.join(sorted(skipped))} is reused, {', '.join(unfinished)} will tell.")
    planners = [name for name in operator.planned_by if states.get(name) == TaskInstanceState.SUCCESS]
    reused: set[str] = set()
    for name in planners:
        reused |= reused_of(instance.xcom_pull(task_ids=name, key=KEY), name)
    others = skipped - reused
    if others:
        message = f"Skipped, because {', '.join(sorted(others))} before it was, and not for reuse."
        log.info("%s", message)  # the text of a log leaves out the exception's
        raise AirflowSkipException(message)
    return frozenset(skipped)
