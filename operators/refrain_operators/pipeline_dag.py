"""pipeline_dag: a whole pipeline as a DAG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from refrain.data.parameters import PipelineParameter
from refrain.data.ports import FromStep
from refrain.pipelines.pipeline import Pipeline, is_defining
from refrain.steps.definition import PipelineDefinition, StepDefinition

if TYPE_CHECKING:
    from airflow.sdk import DAG


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
    **dag_kwargs: Any,
) -> DAG | None:
    """Return a DAG that runs a pipeline, one task for each step.

    The pipeline's parameters become the DAG's params, with their types, so that the trigger form in the UI shows them;
    another one, ``regenerate_outputs``, makes a run's steps run whatever could be reused.

    :param dag_id: None means the pipeline's name.
    :param continue_on_step_failure: let the branches that do not depend on a failed step go on.
    :param experiment: the experiment's name; None means the DAG's id.
    :param dag_kwargs: whatever else :class:`airflow.sdk.DAG` takes.
    :returns: None while a file is loaded for its pipelines alone (``refrain run FILE``), where no Airflow is needed.
    """
    if is_defining():
        return None
    return definition_dag(
        pipeline.definition,
        pipeline.workspace.root,
        dag_id=dag_id or pipeline.name,
        experiment=experiment,
        schedule=schedule,
        start_date=start_date,
        catchup=catchup,
        fail_fast=not continue_on_step_failure,
        default_args=dict(default_args or {}),
        tags={"refrain", *tags},
        **dag_kwargs,
    )


def definition_dag(
    definition: PipelineDefinition, workspace: str, dag_id: str, experiment: str | None = None, **dag_kwargs: Any
) -> DAG:
    """Return the DAG of a pipeline's definition; ``dag_kwargs`` go to :class:`airflow.sdk.DAG` as they are."""
    from airflow.sdk import DAG

    params = {**_params(definition), **dag_kwargs.pop("params", {})}
    description = definition.description or f"The pipeline {definition.name}"
    dag = DAG(dag_id=dag_id, params=params, description=description, **dag_kwargs)
    operators: dict[str, Any] = {}
    with dag:
        for step in definition.steps:
            operators[step.key] = _operator(step, definition, workspace, operators, experiment or dag_id)
    for step in definition.steps:
        for key in step.after:
            operators[key].set_downstream(operators[step.key])
    return dag


def _operator(
    step: StepDefinition, definition: PipelineDefinition, workspace: str, operators: Mapping[str, Any], experiment: str
) -> Any:
    from refrain_operators.step_operator import StepOperator

    return StepOperator(
        task_id=step.key,
        task_display_name=step.name,
        step=step,
        workspace=workspace,
        producers={p.name: operators[p.source.step] for p in step.inputs if isinstance(p.source, FromStep)},
        declared=definition.parameters,
        pipeline=definition.name,
        experiment=experiment,
    )


def _params(definition: PipelineDefinition) -> dict[str, Any]:
    from airflow.sdk import Param

    from refrain_operators.step_operator import FORCE_PARAM

    params = {parameter.name: _param(parameter) for parameter in definition.parameters}
    force = Param(False, type="boolean", description="Run every step, whatever could be reused.")
    return {**params, FORCE_PARAM: params.get(FORCE_PARAM, force)}


def _param(parameter: PipelineParameter) -> Any:
    from airflow.sdk import Param

    note = "" if parameter.affects_reuse else "Does not affect reuse."
    return Param(parameter.default_value, type=parameter.json_type, description=note or None)
