"""pipeline_dag: a whole pipeline as a DAG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from refrain.compute.target import TargetTable
from refrain.data.data_value import DataValue
from refrain.data.parameters import PipelineParameter
from refrain.data.ports import FromStep
from refrain.errors import UserError
from refrain.pipelines.pipeline import Pipeline, is_defining, note_defined
from refrain.pipelines.workspace import Workspace
from refrain.steps import python_script
from refrain.steps.definition import PipelineDefinition, StepDefinition
from refrain.steps.sharing import shared_sources
from refrain_operators.doc_pages import FORCE_PARAM, PLAN_PAGE, dag_page, parameters_of, task_page

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from refrain_operators.step_operator import StepOperator

PLAN_TASK = "plan"
"""The id of a pipeline's planning task, unless a step has it."""


def pipeline_dag(  # noqa: PLR0913  # Airflow's own settings of a DAG, as keywords
    pipeline: Pipeline,
    dag_id: str | None = None,
    schedule: Any = None,
    start_date: datetime | None = None,
    catchup: bool = False,
    continue_on_step_failure: bool = False,
    default_args: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
    experiment: str | None = None,
    has_plan: bool = True,
    **dag_kwargs: Any,
) -> DAG | None:
    """Return a DAG that runs a pipeline, one task for each step, behind one that plans what is reused.

    The pipeline's parameters become the DAG's params, with their types, so that the trigger form in the UI shows them;
    another one, ``regenerate_outputs``, makes a run's steps run whatever could be reused: true means all of them, a
    list of names those, ``["train+"]`` a step and everything after it.

    :param dag_id: None means the pipeline's name.
    :param schedule: as Airflow's; a cron text without a ``start_date`` waits for its next tick.
    :param continue_on_step_failure: let the branches that do not depend on a failed step go on.
    :param experiment: the experiment's name; None means the DAG's id.
    :param has_plan: put a :class:`~refrain_operators.reuse_sensor.ReuseSensor` in front, the task ``plan``, which skips
        the tasks of reused steps in bulk; without it, each step's task decides for itself.
    :param dag_kwargs: whatever else :class:`airflow.sdk.DAG` takes.
    :returns: None while a file is loaded for its pipelines alone (``refrain run FILE``), where no Airflow is needed.
    """
    if is_defining():
        note_defined(pipeline)
        return None
    return definition_dag(
        pipeline.definition,
        pipeline.workspace.root,
        dag_id=dag_id or pipeline.name,
        experiment=experiment,
        schedule=schedule,
        start_date=start_date,
        catchup=catchup,
        continue_on_step_failure=continue_on_step_failure,
        has_plan=has_plan,
        default_args=dict(default_args or {}),
        tags={"refrain", *tags},
        is_in_file=True,
        **dag_kwargs,
    )


def definition_dag(  # noqa: PLR0913  # Airflow's own settings of a DAG, as keywords
    definition: PipelineDefinition,
    workspace: str,
    dag_id: str,
    experiment: str | None = None,
    continue_on_step_failure: bool = False,
    has_plan: bool = True,
    is_in_file: bool = False,
    **dag_kwargs: Any,
) -> DAG:
    """Return the DAG of a pipeline's definition; ``dag_kwargs`` go to :class:`airflow.sdk.DAG` as they are.

    :param is_in_file: the DAG's file defines the pipeline, so that ``refrain run`` can be given it.
    :raises UserError: for Airflow's ``fail_fast``, and for a parameter called ``regenerate_outputs``.
    """
    from airflow.sdk import DAG

    if dag_kwargs.get("fail_fast"):
        raise UserError(
            "Airflow's fail_fast would show a failed run of a pipeline as a success. Leave it out: unless "
            "continue_on_step_failure=True is given, a failed step stops the others."
        )
    params = {**_params(definition), **dag_kwargs.pop("params", {})}
    texts = {
        "description": definition.description or f"The pipeline {definition.name}",
        "doc_md": dag_page(definition),
    }
    dag = DAG(dag_id=dag_id, params=params, **{**texts, **dag_kwargs})
    if isinstance(dag_kwargs.get("schedule"), str) and dag.start_date is None:
        _wait_for_next_tick(dag)
    settings = {
        "workspace": workspace,
        "pipeline": definition.name,
        "experiment": experiment or dag_id,
        "declared": definition.parameters,
        "stops_run": not continue_on_step_failure,
        "pipeline_outputs": definition.named_outputs,
        "is_in_file": is_in_file,
    }
    operators: dict[str, Any] = {}
    warnings = shared_sources(definition)
    places = _places(definition, workspace)
    with dag:
        for step in definition.steps:
            place = places.get(step.compute or "", {})
            operators[step.key] = _operator(
                step, operators, {**settings, **place, "warning": warnings.get(step.key, "")}
            )
    for step in definition.steps:
        for key in step.after:
            operators[key].set_downstream(operators[step.key])
    if has_plan and definition.steps:
        _put_plan_in_front(dag, [operators[step.key] for step in definition.steps if not step.upstream])
    return dag


def _places(definition: PipelineDefinition, workspace: str) -> dict[str, dict[str, str]]:
    """Return, by compute target, which of Airflow's queues and pools the tasks of its steps go to."""
    names = {step.compute for step in definition.steps if step.compute}
    if not names:
        return {}
    table = TargetTable(Workspace(workspace).state.registry)
    targets = [target for target in map(table.find, sorted(names)) if target is not None]
    settings = {target.name: {"queue": target.queue, "pool": target.pool} for target in targets}
    return {name: {key: text for key, text in found.items() if text} for name, found in settings.items()}


def _put_plan_in_front(dag: DAG, first: Sequence[Any]) -> None:
    from refrain_operators.reuse_sensor import ReuseSensor

    task_id = PLAN_TASK
    while dag.has_task(task_id):  # a step may be called so
        task_id += "_"
    ReuseSensor(task_id=task_id, dag=dag, doc_md=PLAN_PAGE).set_downstream(list(first))


def _wait_for_next_tick(dag: DAG) -> None:
    """Begin with the next tick; Airflow would also take the last one, if it is less than a tenth of a period ago."""
    from airflow.sdk import CronTriggerTimetable

    if isinstance(dag.timetable, CronTriggerTimetable):
        dag.timetable.run_immediately = timedelta(0)


def _operator(step: StepDefinition, operators: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
    return _operator_class(step.kind)(
        task_id=step.key,
        task_display_name=step.name,
        doc_md=task_page(step),
        step=step,
        producers={p.name: operators[p.source.step] for p in step.inputs if isinstance(p.source, FromStep)},
        **settings,
    )


def _operator_class(kind: str) -> type[StepOperator]:
    from refrain_operators.step_operator import StepOperator

    if kind == python_script.KIND:  # most are, and need nothing of the others
        return StepOperator
    from refrain.steps import databricks

    if kind == databricks.KIND:
        from refrain_operators.databricks_operator import DatabricksOperator

        return DatabricksOperator
    return StepOperator


def _params(definition: PipelineDefinition) -> dict[str, Any]:
    from refrain_operators.forced import force_param, require_free_name

    require_free_name(definition)
    params = {parameter.name: _param(parameter, definition) for parameter in definition.parameters}
    return {**params, FORCE_PARAM: force_param()}


def _param(parameter: PipelineParameter, definition: PipelineDefinition) -> Any:
    from airflow.sdk import Param

    users = [step.name for step in definition.steps if parameter.name in parameters_of(step)]
    notes = [f"Used by {', '.join(users)}."] if users else []
    notes += [] if parameter.affects_reuse else ["Does not affect reuse."]
    # The trigger form sends an empty text as null, and would ask for another one if null were not allowed.
    types = ["string", "null"] if parameter.json_type == "string" else parameter.json_type
    default = parameter.default_value
    if isinstance(default, DataValue):
        types = ["string", "object", "null"]  # the form asks for the first
        notes = [f"{default.kind.value}, as {default.kind.form}.", *notes]
        notes += [] if default.is_named else ["Left empty, it is the pipeline's own."]
    shown = default if not isinstance(default, DataValue) else default.text if default.is_named else None
    return Param(shown, type=types, description=" ".join(notes) or None)
