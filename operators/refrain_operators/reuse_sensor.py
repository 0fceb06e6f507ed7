"""ReuseSensor: one task that decides the steps behind it, and short-circuits those that are reused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowSensorTimeout, DownstreamTasksSkipped
from airflow.sdk.execution_time.xcom import XCom

from refrain.errors import RefrainError
from refrain.execution.lease import is_being_made
from refrain.execution.request import StepResult
from refrain_operators import plan
from refrain_operators.connections import use_airflow
from refrain_operators.coverage import Coverage
from refrain_operators.origin import Origin, ReusedFrom
from refrain_operators.planner import Planner
from refrain_operators.references import published
from refrain_operators.step_operator import RETRIES, RETRY_DELAY

# A link is a request to Airflow's API server, about 10 ms of CPU, which a large plan would spend most of its time on.
_MOST_LINKED = 50
# What Airflow keeps for this task; its XComs do not outlast a look.
_SIGNS = "refrain_signs"


class ReuseSensor(BaseSensorOperator):
    """Decides, before any of them starts, which of the step operators behind it are reused, and skips those in bulk.

    A run in which everything is reused then costs this one task. Covered are the steps that follow only this task and
    other covered steps; a step behind one that has to run decides for itself, when its inputs are there. So does one
    whose success has to be seen: by a callback, by an asset, or by an ordinary task right behind it, unless that has a
    trigger rule such as ``none_failed``.

    The log has a line for each step with the reason. Each reused step has its run record as if its task had run. Its
    page leads to the task that made the result, unless more than fifty steps are reused.

    While another run makes the result that a step would make, and no other covered step could start, it waits, by
    default without holding a worker's slot. After ``timeout`` seconds it leaves the steps to themselves, or when
    whoever makes the result gave no sign of life between two looks: they wait as well, and take over from who has died.

    :param poke_interval: seconds between two looks while it waits.
    :param timeout: seconds that it waits at most.
    :param mode: Airflow's ``reschedule`` or ``poke``.
    """

    ui_color = "#e8f0fe"
    is_being_made = staticmethod(is_being_made)

    def __init__(
        self,
        *,
        retries: int | None = None,
        retry_delay: timedelta | None = None,
        poke_interval: timedelta | float = 10,
        timeout: timedelta | float = 600,
        mode: str = "reschedule",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            retries=RETRIES if retries is None else retries,
            retry_delay=retry_delay or RETRY_DELAY,
            poke_interval=poke_interval,
            timeout=timeout,
            mode=mode,
            **kwargs,
        )
        self._coverage: Coverage | None = None
        self._planner: Planner | None = None

    def prepare_template(self) -> None:
        """Arrange the steps behind; Airflow calls it when a DAG file has been read, and all edges are there."""
        Coverage(self).arrange()

    def execute(self, context: Any) -> None:
        """Plan, wait if that helps, and short-circuit what is reused.

        :raises DownstreamTasksSkipped: for Airflow, which then skips the tasks and calls this one a success.
        """
        use_airflow()
        try:
            super().execute(context)
        except AirflowSensorTimeout as error:
            self.log.warning("%s The steps are left to themselves.", error)
        self._short_circuit(context)

    def poke(self, context: Any) -> bool:
        """Decide every step that can be decided, and say whether that is all that can be hoped for."""
        coverage = Coverage(self)
        states = plan.states_of(context["ti"], coverage.steps) if coverage.steps else {}
        self._coverage, self._planner = coverage, Planner(coverage.steps, context, states, self.is_being_made)
        try:
            self._planner.decide()
        except RefrainError as error:
            self.log.warning("Nothing can be planned, each step decides for itself: %s", error)
            self._planner = None
        return self._planner is None or not self._planner.is_worth_waiting or self._is_silent(context, self._planner)

    def _is_silent(self, context: Any, planner: Planner) -> bool:
        """Say whether somebody who is waited for gave no sign of life since the last look, in an earlier process.

        A step that is left to itself because of a slow sign loses nothing: its task waits in the triggerer.
        """
        signs = planner.signs() if self.reschedule else {}
        if not signs:
            return False
        store = context["task_state_store"]
        known = store.get(_SIGNS) or {}
        store.set(_SIGNS, signs)
        silent = sorted(task_id for task_id, sign in signs.items() if known.get(task_id) == sign)
        if silent:
            self.log.info("Who makes the results of %s gives no sign of life.", ", ".join(silent))
        return bool(silent)

    def _short_circuit(self, context: Any) -> None:
        planner, coverage = self._planner, self._coverage
        if planner is None or coverage is None:
            return
        results = planner.record()  # before anything is skipped, so that whoever finds a skipped step finds its record
        for task_id in results.keys() & coverage.read_by_others:
            self._push(context["ti"], task_id, "return_value", published(results[task_id]))
        if len(results) <= _MOST_LINKED:
            self._link(context["ti"], results, planner)
        context["ti"].xcom_push(plan.KEY, plan.plan(planner.reused))
        self.log.info("Of %d steps, %d are reused.", len(coverage.steps), len(planner.reused))
        if results:
            raise DownstreamTasksSkipped(tasks=sorted(results))

    def _link(self, instance: Any, results: Mapping[str, StepResult], planner: Planner) -> None:
        """Let the pages of skipped tasks lead to the tasks that made their results."""
        base_url = conf.get("api", "base_url", fallback="")
        for task_id, result in results.items():
            origin = Origin.of(result.reused_from, planner.runs_of(task_id))
            if origin is not None:
                self._push(instance, task_id, ReusedFrom().xcom_key, origin.address(base_url))

    def _push(self, instance: Any, task_id: str, key: str, value: Any) -> None:
        """Leave an XCom of a skipped task, as its own try would have."""
        XCom.set(key, value, dag_id=instance.dag_id, run_id=instance.run_id, task_id=task_id)
