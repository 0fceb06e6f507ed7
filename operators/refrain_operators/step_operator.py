"""StepOperator: one step as an Airflow task; the thin layer between Airflow and the engine."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, BaseOperator
from airflow.sdk.bases.operatorlink import BaseOperatorLink
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from refrain.compute.local import LocalCompute
from refrain.data.data_value import DataValue
from refrain.data.handle import DataHandle
from refrain.data.parameters import PipelineParameter, Scalar, Value, assign
from refrain.data.ports import FromReference, FromStep
from refrain.errors import (
    BeingMadeError,
    OutputError,
    RefrainError,
    SnapshotError,
    StepCanceledError,
    StepFailedError,
    UntrustedReferenceError,
    UserError,
)
from refrain.execution.engine import Engine
from refrain.execution.listener import Listener, Phase
from refrain.execution.request import RunContext, StepRequest, StepResult
from refrain.execution.stage import sweep
from refrain.pipelines.workspace import Workspace
from refrain.reuse.decision import Decision
from refrain.steps.definition import StepDefinition
from refrain.storage.connections import set_resolver
from refrain.tracking.record import RunRecord, RunStatus, RunStore
from refrain.tracking.run_id import root_id_for
from refrain_operators.connections import airflow_connection
from refrain_operators.doc_pages import FORCE_PARAM
from refrain_operators.forced import is_forced
from refrain_operators.mapped_step import MappedStep
from refrain_operators.origin import Origin, ReusedFrom
from refrain_operators.references import outputs_of, published, step_key, verified, verified_all
from refrain_operators.result_trigger import ResultTrigger
from refrain_operators.run_stop import NoStop, RunStop

_RETRIES = 2
_RETRY_DELAY = timedelta(seconds=5)
_FINAL_ERRORS = (UserError, SnapshotError, OutputError, UntrustedReferenceError)
# Airflow kills a task five seconds after it asked it to end; by then the step's process must be gone.
_CANCEL_GRACE_SECONDS = 2.0


class LogListener(Listener):
    """Writes what happens to a step into the task's log."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log

    def decided(self, key: str, decision: Decision, run_id: str) -> None:
        """See :meth:`refrain.execution.listener.Listener.decided`."""
        self._log.info("Step %s %s", key, decision.sentence())
        self._log.info("Step run %s", run_id)
        self._log.info("Fingerprint %s", decision.fingerprint)

    def waits(self, key: str, run_id: str) -> None:
        """See :meth:`refrain.execution.listener.Listener.waits`."""
        self._log.info("Step %s waits for run %s, which is making the same result", key, run_id)

    def entered(self, key: str, phase: Phase) -> None:
        """See :meth:`refrain.execution.listener.Listener.entered`."""
        self._log.debug("Step %s: %s", key, phase.value)

    def line(self, key: str, line: str) -> None:  # noqa: ARG002  # the task's log is that of one step
        """See :meth:`refrain.execution.listener.Listener.line`."""
        self._log.info("%s", line)

    def noted(self, key: str, note: str) -> None:
        """See :meth:`refrain.execution.listener.Listener.noted`."""
        self._log.warning("Step %s: %s", key, note)


class StepOperator(BaseOperator):
    """Runs one step, or short-circuits it when nothing that it depends on has changed.

    Faults around a step are retried twice by default; a script that fails is not, because it would fail again: give
    ``retries`` to have it retried too.

    :param step: the step's definition; its key is the task id.
    :param workspace: the workspace's folder; None means ``REFRAIN_WORKSPACE`` or the nearest configuration file.
    :param producers: the operators whose outputs the step reads, by input name.
    :param declared: the pipeline parameters that the step uses; their values come from the run's ``params``.
    :param pipeline: the pipeline's name, under which runs and explanations are kept; None means the DAG's id.
    :param experiment: the experiment's name; None means the DAG's id.
    :param is_script_retried: whether a failed script is run again; None means, if ``retries`` are given.
    :param stops_run: let the run's other steps stop when this one has failed for good.
    :param pipeline_outputs: the step key and the output name behind each named output of the pipeline.
    :param warning: what is wrong with the pipeline, for the log of one of its tasks.
    """

    ui_color = "#e8f0fe"
    operator_extra_links: tuple[BaseOperatorLink, ...] = (ReusedFrom(),)

    def __init__(  # noqa: PLR0913  # Airflow's operators take their settings as keywords
        self,
        *,
        step: StepDefinition,
        workspace: str | None = None,
        producers: Mapping[str, Any] | None = None,
        declared: Sequence[PipelineParameter] = (),
        pipeline: str | None = None,
        experiment: str | None = None,
        retries: int | None = None,
        retry_delay: timedelta | None = None,
        outlets: Any = None,
        is_script_retried: bool | None = None,
        stops_run: bool = False,
        pipeline_outputs: Mapping[str, tuple[str, str]] | None = None,
        warning: str = "",
        **kwargs: Any,
    ) -> None:
        registered = [_asset(port.registration.name) for port in step.outputs if port.registration]
        super().__init__(
            retries=_RETRIES if retries is None else retries,
            retry_delay=retry_delay or _RETRY_DELAY,
            outlets=[*(outlets or ()), *registered],
            **kwargs,
        )
        self.step = step
        self.workspace = workspace
        self.producers = dict(producers or {})
        self.declared = {parameter.name: parameter for parameter in declared}
        self.pipeline = pipeline
        self.experiment = experiment
        self.origin_address = ""
        self._is_script_failure_final = retries is None if is_script_retried is None else not is_script_retried
        self.stops_run = stops_run
        self.pipeline_outputs = dict(pipeline_outputs or {})
        self.warning = warning
        self._engine: Engine | None = None
        self._stop: RunStop = NoStop()
        for producer in self.producers.values():
            producer.set_downstream(self)

    @classmethod
    def partial(cls, **kwargs: Any) -> MappedStep:
        """Return what ``expand`` makes a mapped step of; takes what the operator takes, see Airflow's task mapping.

        Airflow's scheduler reads the settings of a mapped task from here, so that defaults have to be spelled out.
        """
        given = super().partial(**kwargs)
        given._expand_called = True  # it is replaced, and would warn that it was never expanded
        settings = given.kwargs
        settings["is_script_retried"] = settings["retries"] is not None
        settings["retries"] = settings["retries"] if settings["retries"] is not None else _RETRIES
        settings["retry_delay"] = settings["retry_delay"] or _RETRY_DELAY
        settings["outlets"] = list(settings["outlets"] or ())
        return MappedStep(operator_class=given.operator_class, kwargs=settings, params=given.params)

    def execute(self, context: Any) -> dict[str, Any]:
        """Take the step through its life and publish references to its outputs.

        :raises AirflowFailException: when trying again cannot help.
        :raises AirflowException: when it may.
        """
        self.operator_extra_links = ()  # else Airflow would store an empty link of every task that is not reused
        try:
            return self._execute(context)
        except BeingMadeError as error:
            self.log.info("%s", error)
            trigger = ResultTrigger(Workspace(self.workspace).root, error.fingerprint)
            return self.defer(trigger=trigger, method_name="resume")  # type: ignore[no-any-return]  # it raises
        except RefrainError as error:
            # What a script failed of is in its output; frames of ours below it would only bury it in the log.
            raise self._failure(error, context["ti"]) from (None if isinstance(error, StepFailedError) else error)

    def resume(self, context: Any, event: Any = None) -> dict[str, Any]:  # noqa: ARG002  # Airflow passes it
        """Go on after another run, which made the same result, has ended: look for it again."""
        return self.execute(context)

    def on_kill(self) -> None:
        """Stop the step's process and everything that it started."""
        if self._engine is not None:
            self._engine.cancel()

    def listener(self) -> Listener:
        """Return who hears what happens to the step; by default the task's log."""
        return LogListener(logging.getLogger("refrain.step"))

    def _execute(self, context: Any) -> dict[str, Any]:
        set_resolver(airflow_connection)
        if self.warning:
            self.log.warning("%s", self.warning)
        workspace = Workspace(self.workspace)
        sweep(workspace.state)
        run = self._run_context(context, workspace)
        engine = self._engine = Engine(
            workspace.state, LocalCompute(_CANCEL_GRACE_SECONDS), self.listener(), waits=False
        )
        self._ensure_root(run, context, engine.runs)
        if self.stops_run:
            self._stop = RunStop(workspace.state, run.root_id, context["dag_run"].clear_number or 0, self.task_id)
        # In a thread of its own, so that on_kill, which Airflow calls from a signal handler, never meets a lock that
        # the interrupted code holds.
        with self._stop.obeyed_by(engine), ThreadPoolExecutor(1, "step") as pool:
            request = self._request(context, run, workspace, engine.runs)
            result = pool.submit(engine.run, request).result()
        workspace.state.trees.flush()
        self._note_origin(result, engine.runs)
        for name, handle in result.outputs.items():
            self.log.info("Output %s: %s (%d files, %d bytes)", name, handle.uri, handle.files, handle.bytes)
        self._tell_assets(context, result)
        return published(result)

    def _failure(self, error: RefrainError, instance: Any) -> AirflowException:
        """Return what to raise, and let the run's other steps stop when there will be no other try."""
        is_final = isinstance(error, _FINAL_ERRORS)
        if isinstance(error, StepFailedError):
            is_final = self._is_script_failure_final
        is_last = is_final or instance.try_number > instance.max_tries
        if is_last and not isinstance(error, StepCanceledError):
            self._stop.raise_sign()
        return AirflowFailException(str(error)) if is_final else AirflowException(str(error))

    def _ensure_root(self, run: RunContext, context: Any, runs: RunStore) -> None:
        """Write the pipeline run's record, unless another task of the run has.

        A run that was deleted and triggered again under its old id has the old record; its parameters may be others.
        """
        parameters = _plain(self._params(context))
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
            pipeline_outputs=self.pipeline_outputs,
        )
        runs.create(record)

    def _run_context(self, context: Any, workspace: Workspace) -> RunContext:
        instance = context["ti"]
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
            pipeline=self.pipeline or instance.dag_id,
            experiment=self.experiment or instance.dag_id,
            workspace_name=workspace.name,
            workspace_root=workspace.root,
            origin=origin,
        )

    def _request(self, context: Any, run: RunContext, workspace: Workspace, runs: RunStore) -> StepRequest:
        instance = context["ti"]
        given = self._params(context)
        return StepRequest(
            step=replace(self.step, key=step_key(instance.task_id, instance.map_index)),
            run=run,
            parameters=self._parameters(context, run, workspace, runs),
            declared=self.declared,
            handles=self._handles(context, run, runs),
            predecessors=_predecessors(self.step, run, runs),
            is_forced=is_forced(given.get(FORCE_PARAM), self, context["dag"]),
            attempt=instance.try_number or 1,
        )

    def _parameters(self, context: Any, run: RunContext, workspace: Workspace, runs: RunStore) -> dict[str, Value]:
        """Return the parameters' values; a dataset's newest version is the same for all tasks of a run."""
        given = self._params(context)
        values = {name: given[name] for name in self.declared if name in given}
        found = assign(self.declared, values, workspace)
        asked = context["dag_run"].conf or {}
        settled = {
            name: runs.settle(run.root_id, json.dumps([name, asked.get(name)]), value.text)
            for name, value in found.items()
            if isinstance(value, DataValue)
        }
        return assign(self.declared, {**values, **settled}, workspace) if settled else found

    def _params(self, context: Any) -> dict[str, Any]:
        """Return the run's params; what was left empty in the trigger form arrives as None: an empty text, no data."""
        defaults = {name: parameter.default_value for name, parameter in self.declared.items()}
        empty = {name: "" for name, default in defaults.items() if isinstance(default, str)}
        empty |= {name: default.text for name, default in defaults.items() if isinstance(default, DataValue)}
        given = context["params"]
        return {name: empty[name] if given[name] in (None, "") and name in empty else given[name] for name in given}

    def _handles(self, context: Any, run: RunContext, runs: RunStore) -> dict[str, Any]:
        handles: dict[str, DataHandle | tuple[DataHandle, ...]] = {}
        for port in self.step.inputs:
            if not isinstance(port.source, (FromStep, FromReference)):
                continue
            producer = self.producers[port.name]
            found = producer.output.resolve(context)  # knows mapped tasks and mapped groups
            if isinstance(port.source, FromStep):
                handles[port.name] = _outputs(found, producer.task_id, run, runs)[port.source.output]
            else:
                several = [found] if isinstance(found, Mapping) else list(found or ())
                output = port.source.label.rpartition(".")[2]
                count = _instances(context["ti"], producer.task_id)
                instances = verified_all(several, producer.task_id, run.root_id, runs, count)
                handles[port.name] = tuple(outputs[output] for outputs in instances)
        return handles

    def _note_origin(self, result: StepResult, runs: RunStore) -> None:
        origin = Origin.of(result.reused_from, runs)
        if origin is not None:
            base_url = conf.get("api", "base_url", fallback="")
            self.log.info("Made by %s: %s", origin, base_url.rstrip("/") + origin.path)
            self.origin_address = origin.address(base_url)
            self.operator_extra_links = (ReusedFrom(),)

    def _tell_assets(self, context: Any, result: StepResult) -> None:
        """Put the references on the asset events, so that DAGs scheduled by them know what is new."""
        events = context["outlet_events"]
        for port in self.step.outputs:
            if port.registration:
                handle = result.outputs[port.name]
                events[_asset(port.registration.name)].extra = {
                    "uri": handle.uri,
                    "digest": handle.digest,
                    "run_id": result.run_id,
                    "reused_from": result.reused_from,
                }


def _outputs(reference: Any, task_id: str, run: RunContext, runs: RunStore) -> Mapping[str, DataHandle]:
    """Return a task's outputs; one that was marked as success by hand published nothing, but may have run before."""
    if reference is not None:
        return verified(reference, task_id, run.root_id, runs)
    done = [r for r in runs.steps(run.root_id) if r.key == task_id and r.status is RunStatus.COMPLETED]
    if not done:
        raise UserError(
            f"Task {task_id!r} has not published its outputs, and the workspace has no completed run of it. If it was "
            "marked as success by hand, clear it, so that it runs."
        )
    return outputs_of(done[-1])


def _instances(instance: Any, task_id: str) -> int:
    """Return how many instances of a task the run has."""
    return int(instance.get_ti_count(dag_id=instance.dag_id, task_ids=[task_id], run_ids=[instance.run_id]))


def _plain(params: Mapping[str, Any]) -> dict[str, Scalar]:
    """Keep values as records hold them; an object, which may name data, as its JSON text."""
    objects = {name: json.dumps(params[name], sort_keys=True) for name in params if isinstance(params[name], dict)}
    return objects | {name: params[name] for name in params if isinstance(params[name], (str, int, float, bool))}


def _predecessors(step: StepDefinition, run: RunContext, runs: RunStore) -> dict[str, str]:
    """Return which runs made the results of the steps that come first by ``run_after``, as the workspace knows them."""
    if not step.after:
        return {}
    done = {r.key: r for r in runs.latest_steps(run.root_id) if r.status is RunStatus.COMPLETED}
    return {key: done[key].made_by for key in step.after if key in done}


def _asset(name: str) -> Asset:
    return Asset(name=name, uri=f"refrain://datasets/{name}")
