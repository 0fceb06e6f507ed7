"""Coverage: which step operators a planning task may short-circuit, read from the DAG's graph.

Airflow shows a short-circuited task as skipped. Whatever could tell it from one that succeeded is a reason to leave a
step to itself: it then has a task of its own, which decides as it does where there is no planning task.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from airflow.sdk import TriggerRule
from airflow.sdk.definitions.mappedoperator import MappedOperator

from refrain.errors import UserError
from refrain_operators.step_operator import StepOperator

_ASKS_FOR_SUCCESS = (TriggerRule.ALL_SUCCESS, TriggerRule.NONE_FAILED)
_BEARS_SKIPPED = (TriggerRule.NONE_FAILED, TriggerRule.ALL_DONE, TriggerRule.ALWAYS)
# The first are those that Airflow looks at before it calls an EmptyOperator a success without running it.
_HEARD_BY = (
    "on_execute_callback",
    "on_success_callback",
    "inlets",
    "outlets",
    "on_skipped_callback",
    "_pre_execute_hook",
    "_post_execute_hook",
)
_LIFE = ("execute", "pre_execute", "post_execute")
_WHERE = ("queue", "executor", "executor_config", "run_as_user")


class Coverage:
    """What one planning task covers.

    A step is covered when only the planning task, covered steps and tasks that are over by then come before it, and
    when nothing would notice that it was skipped: no callback, no asset, and no task directly behind it that asks for
    success. Step operators are no such tasks, see :meth:`arrange`. One that Airflow runs somewhere else, in another
    queue or image, is not covered: the Python and the packages there, which count, are not those of the planning task.

    :param sensor: the planning task, in a DAG whose edges are all there.
    :raises UserError: when it is in a mapped group, where it would plan the same steps several times.
    """

    def __init__(self, sensor: Any) -> None:
        if sensor.get_closest_mapped_task_group() is not None:
            raise UserError(f"The planning task {sensor.task_id!r} is in a mapped task group. Put it in front of it.")
        self._sensor = sensor
        self._tasks: Mapping[str, Any] = sensor.dag.task_dict

    @cached_property
    def steps(self) -> dict[str, StepOperator]:
        """The covered step operators by task id, each behind those that it waits for."""
        known = self._over_by_then()
        found: dict[str, StepOperator] = {}
        waiting = deque(sorted(self._sensor.downstream_task_ids))
        while waiting:
            task = self._tasks[waiting.popleft()]
            if task.task_id not in known and task.upstream_task_ids <= known and self._is_unnoticed(task):
                found[task.task_id] = task
                known.add(task.task_id)
                waiting.extend(sorted(task.downstream_task_ids))
        return found

    @cached_property
    def read_by_others(self) -> frozenset[str]:
        """The covered steps from which a path leads to a task that is no step and may pull their XCom."""
        read: set[str] = set()
        for task_id, step in reversed(self.steps.items()):
            behind = step.downstream_task_ids
            if behind & read or any(self._leads_to_others(other) for other in behind - self.steps.keys()):
                read.add(task_id)
        return frozenset(read)

    def arrange(self) -> None:
        """Let step operators start behind covered ones that were skipped.

        They look themselves whether another task before them was skipped, and then are, as by Airflow's own rule.
        """
        for step in self.steps.values():
            for task in (self._tasks[task_id] for task_id in step.downstream_task_ids):
                if _is_step(task) and (task.trigger_rule == TriggerRule.ALL_SUCCESS or _planned_by(task)):
                    task.trigger_rule = TriggerRule.NONE_FAILED
                    _set_planned_by(task, tuple(dict.fromkeys((*_planned_by(task), self._sensor.task_id))))

    def _over_by_then(self) -> set[str]:
        """Return the planning task, and those right before it of which it is known that they succeeded."""
        known = {self._sensor.task_id}
        if self._sensor.trigger_rule == TriggerRule.ALL_SUCCESS:
            before = (self._tasks[task_id] for task_id in self._sensor.upstream_task_ids)
            known.update(task.task_id for task in before if not task.inherits_from_skipmixin)
        return known

    def _is_unnoticed(self, task: Any) -> bool:
        return (
            isinstance(task, StepOperator)
            and _is_step(task)
            and all((getattr(task, name) or None) == (getattr(self._sensor, name) or None) for name in _WHERE)
            and task.trigger_rule in _ASKS_FOR_SUCCESS
            and not (task.depends_on_past or task.wait_for_downstream or task.is_setup or task.is_teardown)
            and not any(getattr(task, name, None) for name in _HEARD_BY)
            and all(_bears_skipped(self._tasks[other], task.task_id) for other in task.downstream_task_ids)
        )

    def _leads_to_others(self, task_id: str) -> bool:
        return any(not _is_step(task) for task in self._from(task_id))

    def _from(self, task_id: str) -> Iterator[Any]:
        """Yield a task and all that are behind it."""
        seen = {task_id}
        waiting = [task_id]
        while waiting:
            task = self._tasks[waiting.pop()]
            yield task
            waiting.extend(task.downstream_task_ids - seen)
            seen |= task.downstream_task_ids


def _is_step(task: Any) -> bool:
    """Say whether a task is a step operator, mapped or not, that lives as all do, and is alone or mapped by itself."""
    kind = task.operator_class if isinstance(task, MappedOperator) else type(task)
    return (
        issubclass(kind, StepOperator)
        and all(getattr(kind, name) is getattr(StepOperator, name) for name in _LIFE)
        and task.get_closest_mapped_task_group() is None
    )


def _bears_skipped(task: Any, before: str) -> bool:
    """Say whether a task runs behind a skipped one, and is not expanded by what that published."""
    rules = (*_BEARS_SKIPPED, TriggerRule.ALL_SUCCESS) if _is_step(task) else _BEARS_SKIPPED
    expanded = [*task.iter_mapped_task_groups(), *([task] if isinstance(task, MappedOperator) else [])]
    expanding = {producer.task_id for one in expanded for producer in one.iter_mapped_dependencies()}
    return task.trigger_rule in rules and before not in expanding


def _planned_by(task: Any) -> tuple[str, ...]:
    settings = task.partial_kwargs if isinstance(task, MappedOperator) else vars(task)
    return tuple(settings.get("planned_by", ()))


def _set_planned_by(task: Any, sensor_ids: tuple[str, ...]) -> None:
    if isinstance(task, MappedOperator):
        task.partial_kwargs["planned_by"] = sensor_ids  # what its instances are made with
    else:
        task.planned_by = sensor_ids
