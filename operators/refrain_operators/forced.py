"""Forced: the param by which a run of a DAG is told to run steps whatever could be reused."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from refrain.errors import UserError
from refrain.execution.force import Force
from refrain.steps.definition import PipelineDefinition, SourceCode, StepDefinition
from refrain_operators.doc_pages import FORCE_PARAM

_PLANNING = "ReuseSensor"


def force_param() -> Any:
    """Return the param: true or a list of steps, as JSON in the trigger form, which has a switch for one type only."""
    return Param(
        False,
        type=["boolean", "array"],
        items={"type": "string"},
        description=(
            'true: Run every step, whatever could be reused. A list of steps: ["train"], or ["train+"] for train and '
            "every step after it."
        ),
    )


def require_free_name(definition: PipelineDefinition) -> None:
    """Refuse a pipeline with a parameter of the param's name.

    :raises UserError: when it has one.
    """
    if FORCE_PARAM in definition.declared:
        raise UserError(
            f"The pipeline {definition.name!r} has a parameter {FORCE_PARAM!r}; on Airflow a param of this name forces "
            "steps to run. Give the parameter another name."
        )


def is_forced(wanted: Any, task: Any, dag: Any) -> bool:
    """Say whether a run's param covers a task; a step's name is its task's id or the step's own name.

    :raises UserError: when it is neither true, false nor a list of words.
    :raises UnknownNameError: when it names a task that the DAG does not have.
    """
    if wanted is None or isinstance(wanted, bool):
        return wanted is True
    return Force.parse(_definition(dag), wanted).covers(task.task_id)


def _definition(dag: Any) -> PipelineDefinition:
    """Return the tasks of a DAG but for planning ones, each behind all that Airflow puts before it."""
    return PipelineDefinition(dag.dag_id, tuple(_outline(task) for task in dag.tasks if task.task_type != _PLANNING))


def _outline(task: Any) -> StepDefinition:
    name = task.step.name if hasattr(task, "step") else task.task_id  # a mapped one has no step before it runs
    before = tuple(sorted(task.get_flat_relative_ids(upstream=True)))
    return StepDefinition(task.task_id, name, kind="", source=SourceCode(), command=(), after=before)
