"""StepOperator: one step as an Airflow task; the thin layer between Airflow and the engine."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, BaseOperator
from airflow.sdk.bases.operatorlink import BaseOperatorLink
from airflow.sdk.configuration import conf
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.triggers.base import BaseTrigger

from refrain.compute.computes import Computes
from refrain.data.parameters import PipelineParameter
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
from refrain.execution.preview import Published
from refrain.execution.request import RunContext, StepRequest, StepResult
from refrain.execution.stage import sweep
from refrain.execution.trial import way_to_run_alone
from refrain.pipelines.workspace import Workspace
from refrain.reuse.decision import Decision
from refrain.steps.definition import StepDefinition
from refrain.tracking.record import RunStore
from refrain_operators.connections import use_airflow
from refrain_operators.mapped_step import MappedStep
from refrain_operators.origin import Origin, ReusedFrom
from refrain_operators.plan import UnfinishedPlan, planned_before
from refrain_operators.references import published, recorded
from refrain_operators.result_trigger import ResultTrigger
from refrain_operators.run_stop import NoStop, RunStop, round_of
from refrain_operators.step_request import ensure_root, given_words, run_context, step_request

RETRIES = 2
RETRY_DELAY = timedelta(seconds=5)
_PLAN_DELAY = timedelta(seconds=2)
_INSTANCE = re.compile(r"(?P<task_id>.+)-(?P<index>0|[1-9][0-9]*)")
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

    def linked(self, key: str, name: str, url: str) -> None:  # noqa: ARG002  # the task's log is that of one step
        """See :meth:`refrain.execution.listener.Listener.linked`."""
        self._log.info("%s: %s", name, url)

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
    :param planned_by: the planning tasks that may have short-circuited steps right before this one; they set it.
    :param warning: what is wrong with the pipeline, for the log of one of its tasks.
    :param is_in_file: the DAG's file defines the pipeline, so that ``refrain run`` can be given it.
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
        planned_by: Sequence[str] = (),
        warning: str = "",
        is_in_file: bool = False,
        **kwargs: Any,
    ) -> None:
        registered = [_asset(port.registration.name) for port in step.outputs if port.registration]
        super().__init__(
            retries=RETRIES if retries is None else retries,
            retry_delay=retry_delay or RETRY_DELAY,
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
        self.planned_by = tuple(planned_by)
        self.warning = warning
        self.is_in_file = is_in_file
        self._engine: Engine | None = None
        self._stop: RunStop = NoStop()
        self._is_resumed = False
        self._expired = ""
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
        settings["retries"] = settings["retries"] if settings["retries"] is not None else RETRIES
        settings["retry_delay"] = settings["retry_delay"] or RETRY_DELAY
        settings["outlets"] = list(settings["outlets"] or ())
        return MappedStep(operator_class=given.operator_class, kwargs=settings, params=given.params)

    def prepare_template(self) -> None:
        """Look at the tasks beside this one; Airflow calls it when a DAG file has been read, and all of them are there.

        :raises UserError: when an instance of a mapped step has this task's key in the workspace.
        """
        named = _INSTANCE.fullmatch(self.task_id)
        other = self.dag.task_dict.get(named["task_id"]) if named else None
        if named and _has_instances(other) and not _has_instances(self):
            raise UserError(
                f"The task {self.task_id!r} would share its runs and its data with instance {named['index']} of the "
                f"mapped task {named['task_id']!r}. Give one of them another id."
            )

    def execute(self, context: Any) -> dict[str, Any]:
        """Take the step through its life and publish references to its outputs.

        :raises AirflowFailException: when trying again cannot help.
        :raises AirflowException: when it may.
        """
        self.operator_extra_links = ()  # else Airflow would store an empty link of every task that is not reused
        try:
            return self._execute(context)
        except UnfinishedPlan as error:
            from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger  # here, as it is seldom needed

            self.log.info("%s", error)
            return self._wait(TimeDeltaTrigger(_PLAN_DELAY))
        except BeingMadeError as error:
            self.log.info("%s", error)
            return self._wait(ResultTrigger(Workspace(self.workspace).root, error.fingerprint, self._stop.arguments))
        except RefrainError as error:
            # What a script failed of is in its output; frames of ours below it would only bury it in the log.
            raise self._failure(error, context) from (None if isinstance(error, StepFailedError) else error)

    def resume(self, context: Any, event: Any = "", *, has_begun: bool = False) -> dict[str, Any]:
        """Go on after a plan, or another run, which made the same result, may have ended: look again.

        :param event: the trigger's; a :class:`ResultTrigger`'s is a text.
        :param has_begun: whether the step run had been suspended before it had to wait.
        """
        self._expired = event if isinstance(event, str) else ""
        self._is_resumed = has_begun
        return self.execute(context)

    def on_kill(self) -> None:
        """Stop the step's process and everything that it started."""
        if self._engine is not None:
            self._engine.cancel()

    def listener(self) -> Listener:
        """Return who hears what happens to the step; by default the task's log."""
        return LogListener(logging.getLogger("refrain.step"))

    def request(
        self, context: Any, run: RunContext, workspace: Workspace, runs: RunStore, made: Mapping[str, Published]
    ) -> StepRequest:
        """Return what the engine is asked to do; see :func:`refrain_operators.step_request.step_request`."""
        return replace(step_request(self, context, run, workspace, runs, made), expired=self._expired)

    def _wait(self, trigger: BaseTrigger) -> dict[str, Any]:
        again = {"has_begun": self._is_resumed}
        return self.defer(trigger=trigger, method_name="resume", kwargs=again)  # type: ignore[no-any-return]  # raises

    def _execute(self, context: Any) -> dict[str, Any]:
        planned = planned_before(self, context)
        use_airflow()
        if self.warning:
            self.log.warning("%s", self.warning)
        workspace = Workspace(self.workspace)
        sweep(workspace.state)
        run = run_context(self, context["ti"], workspace)
        engine = self._engine = Engine(
            workspace.state,
            self.listener(),
            computes=Computes(workspace.state, _CANCEL_GRACE_SECONDS),
            waits=False,
        )
        ensure_root(self, run, context, engine.runs)
        if self.stops_run:
            self._stop = RunStop(workspace.state, run.root_id, round_of(context["dag_run"]), self.task_id)
        # In a thread of its own, so that on_kill, which Airflow calls from a signal handler, never meets a lock that
        # the interrupted code holds.
        with self._stop.obeyed_by(engine, has_begun=self._is_resumed), ThreadPoolExecutor(1, "step") as pool:
            made = {task_id: recorded(task_id, run.root_id, engine.runs) for task_id in planned}
            request = self.request(context, run, workspace, engine.runs, made)
            result = pool.submit(engine.run, request).result()
        workspace.state.trees.flush()
        self._note_origin(result, engine.runs)
        for name, handle in result.outputs.items():
            self.log.info("Output %s: %s (%d files, %d bytes)", name, handle.uri, handle.files, handle.bytes)
        self._tell_assets(context, result)
        return published(result)

    def _failure(self, error: RefrainError, context: Any) -> AirflowException:
        """Return what to raise, and let the run's other steps stop when there will be no other try."""
        instance, text = context["ti"], str(error)
        is_final = isinstance(error, _FINAL_ERRORS)
        if isinstance(error, StepFailedError):
            is_final = self._is_script_failure_final
            text += self._way_to_run_alone(context)
        is_last = is_final or instance.try_number > instance.max_tries
        if is_last and not isinstance(error, StepCanceledError):
            self._stop.raise_sign()
        return AirflowFailException(text) if is_final else AirflowException(text)

    def _way_to_run_alone(self, context: Any) -> str:
        """Return what the task's log ends with where a script failed."""
        if not self.is_in_file:
            return ""
        target = Computes(Workspace(self.workspace).state).target(self.step.compute)
        file = f"{context['dag'].fileloc}:{self.pipeline}"  # which of several pipelines it is, is not known here
        return f"\n{way_to_run_alone(file, self.step, target, given_words(self, context))}"

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


def _has_instances(task: Any) -> bool:
    """Say whether a task is a step operator of which a run may have several instances."""
    if isinstance(task, MappedOperator):
        return issubclass(task.operator_class, StepOperator)
    return isinstance(task, StepOperator) and task.get_closest_mapped_task_group() is not None


def _asset(name: str) -> Asset:
    return Asset(name=name, uri=f"refrain://datasets/{name}")
