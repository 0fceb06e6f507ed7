"""Step requests: from a step operator and Airflow's context to what the engine is asked to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from refrain.data.data_value import DataValue
from refrain.data.handle import DataHandle
from refrain.data.parameters import Scalar, Value, assign
from refrain.data.ports import FromReference, FromStep
from refrain.execution.preview import Published
from refrain.execution.request import RunContext, StepRequest
from refrain.pipelines.workspace import Workspace
from refrain.tracking.record import RunRecord, RunStatus, RunStore
from refrain.tracking.run_id import root_id_for
from refrain_operators.doc_pages import FORCE_PARAM
from refrain_operators.forced import is_forced
from refrain_operators.references import recorded, step_key, verified, verified_all


def run_context(operator: Any, instance: Any, workspace: Workspace) -> RunContext:
    """Return what a step run is part of; its origin is the task instance."""
    origin = {
        "kind": "airflow",
        "dag_id": instance.dag_id,
        "run_id": instance.run_id,
        "task_id": instance.task_id,
        "map_index": instance.map_index,
        "try_number": instance.try_number,
    }
    return RunContext(
        root_id=root_id_for(instance.dag_id, instance.run_id),
        pipeline=operator.pipeline or instance.dag_id,
        experiment=operator.experiment or instance.dag_id,
        workspace_name=workspace.name,
        workspace_root=workspace.root,
        origin=origin,
    )


def ensure_root(operator: Any, run: RunContext, context: Any, runs: RunStore) -> None:
    """Write the pipeline run's record, unless another task of the run has.

    A run that was deleted and triggered again under its old id has the old record; its parameters may be others.
    """
    parameters = _plain(_params(operator, context["params"]))
    if runs.exists(run.root_id):
        known = runs.get(run.root_id)
        if known.parameters != parameters:
            runs.update(known, parameters=parameters)
        return
    instance = context["ti"]
    started = instance.start_date.timestamp() if getattr(instance, "start_date", None) else 0.0
    record = RunRecord(
        run_id=run.root_id,
        name=run.pipeline,
        pipeline=run.pipeline,
        experiment=run.experiment,
        status=RunStatus.RUNNING,
        created=started,
        started=started,
        parameters=parameters,
        origin={"kind": "airflow", "dag_id": instance.dag_id, "run_id": instance.run_id},
        steps=tuple(task.task_id for task in context["dag"].tasks if hasattr(task, "step")),
        pipeline_outputs=operator.pipeline_outputs,
    )
    runs.create(record)


def step_request(
    operator: Any, context: Any, run: RunContext, workspace: Workspace, runs: RunStore, made: Mapping[str, Published]
) -> StepRequest:
    """Return what the engine is asked to do for the task that is the origin of *run*.

    :param made: by task id, results that need not be asked for.
    :raises UserError: when a step before has published nothing.
    :raises UntrustedReferenceError: when what it published is not what the workspace knows.
    """
    given = _params(operator, context["params"])
    return StepRequest(
        step=replace(operator.step, key=step_key(run.origin["task_id"], run.origin["map_index"])),
        run=run,
        parameters=_parameters(operator, context, run, workspace, runs),
        declared=operator.declared,
        handles=_handles(operator, context, run, runs, made),
        predecessors=_predecessors(operator, run, runs, made),
        is_forced=is_forced(given.get(FORCE_PARAM), operator, context["dag"]),
        attempt=run.origin["try_number"] or 1,
    )


def _parameters(operator: Any, context: Any, run: RunContext, workspace: Workspace, runs: RunStore) -> dict[str, Value]:
    """Return the parameters' values; a dataset's newest version is the same for all tasks of a run."""
    given = _params(operator, context["params"])
    values = {name: given[name] for name in operator.declared if name in given}
    found = assign(operator.declared, values, workspace)
    asked = context["dag_run"].conf or {}
    settled = {
        name: runs.settle(run.root_id, json.dumps([name, asked.get(name)]), value.text)
        for name, value in found.items()
        if isinstance(value, DataValue)
    }
    return assign(operator.declared, {**values, **settled}, workspace) if settled else found


def _params(operator: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run's params; what was left empty in the trigger form arrives as None: an empty text, no data."""
    defaults = {name: parameter.default_value for name, parameter in operator.declared.items()}
    empty = {name: "" for name, default in defaults.items() if isinstance(default, str)}
    empty |= {name: default.text for name, default in defaults.items() if isinstance(default, DataValue)}
    return {name: empty[name] if params[name] in (None, "") and name in empty else params[name] for name in params}


def given_words(operator: Any, context: Any) -> list[str]:
    """Return the run's parameters that are not the pipeline's own, as ``NAME=VALUE`` for ``refrain run --param``."""
    known = _plain(_params(operator, context["params"]))
    defaults = {name: parameter.default_value for name, parameter in operator.declared.items()}
    changed = {name: known[name] for name in defaults if name in known and known[name] != _shown(defaults[name])}
    return [f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in changed.items()]


def _shown(default: Value) -> Scalar:
    return default.text if isinstance(default, DataValue) else default


def _plain(params: Mapping[str, Any]) -> dict[str, Scalar]:
    """Keep values as records hold them; an object, which may name data, as its JSON text."""
    objects = {name: json.dumps(params[name], sort_keys=True) for name in params if isinstance(params[name], dict)}
    return objects | {name: params[name] for name in params if isinstance(params[name], (str, int, float, bool))}


def _handles(
    operator: Any, context: Any, run: RunContext, runs: RunStore, made: Mapping[str, Published]
) -> dict[str, DataHandle | tuple[DataHandle, ...]]:
    handles: dict[str, DataHandle | tuple[DataHandle, ...]] = {}
    for port in operator.step.inputs:
        if not isinstance(port.source, (FromStep, FromReference)):
            continue
        producer = operator.producers[port.name]
        if isinstance(port.source, FromReference):
            handles[port.name] = _gathered(producer, port.source, context, run, runs)
        elif producer.task_id in made:
            handles[port.name] = made[producer.task_id].outputs[port.source.output]
        else:
            found = producer.output.resolve(context)  # knows mapped tasks and mapped groups
            handles[port.name] = _outputs(found, producer.task_id, run, runs)[port.source.output]
    return handles


def _gathered(
    producer: Any, source: FromReference, context: Any, run: RunContext, runs: RunStore
) -> tuple[DataHandle, ...]:
    found = producer.output.resolve(context)
    several = [found] if isinstance(found, Mapping) else list(found or ())
    output = source.label.rpartition(".")[2]
    count = _instances(context["ti"], producer.task_id)
    instances = verified_all(several, producer.task_id, run.root_id, runs, count)
    return tuple(outputs[output] for outputs in instances)


def _outputs(reference: Any, task_id: str, run: RunContext, runs: RunStore) -> Mapping[str, DataHandle]:
    """Return a task's outputs; one that was marked as success by hand published nothing, but may have run before."""
    if reference is not None:
        return verified(reference, task_id, run.root_id, runs)
    return recorded(task_id, run.root_id, runs).outputs


def _instances(instance: Any, task_id: str) -> int:
    """Return how many instances of a task the run has."""
    return int(instance.get_ti_count(dag_id=instance.dag_id, task_ids=[task_id], run_ids=[instance.run_id]))


def _predecessors(operator: Any, run: RunContext, runs: RunStore, made: Mapping[str, Published]) -> dict[str, str]:
    """Return which runs made the results of the steps that come first by ``run_after``, as far as anybody knows."""
    known = {key: made[key].made_by for key in operator.step.after if key in made}
    if len(known) == len(operator.step.after):
        return known
    done = {r.key: r.made_by for r in runs.latest_steps(run.root_id) if r.status is RunStatus.COMPLETED}
    return {key: done[key] for key in operator.step.after if key in done} | known
