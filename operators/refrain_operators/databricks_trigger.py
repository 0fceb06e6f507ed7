"""DatabricksRunTrigger: waits in Airflow's triggerer for a run on Databricks, and ends one that nobody wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from airflow.providers.databricks.triggers.databricks import DatabricksExecutionTrigger
from airflow.sdk import TaskInstanceState
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import TriggerEvent
from asgiref.sync import sync_to_async

from refrain.errors import RefrainError
from refrain.execution.databricks.abandon import close_record, is_to_be_ended
from refrain_operators.connections import workspace_state
from refrain_operators.run_stop import stop_of


class DatabricksRunTrigger(DatabricksExecutionTrigger):
    """The provider's trigger, which fires when the run has ended, or when another step stops the pipeline run.

    Airflow calls :meth:`on_kill` when a user has marked or cleared the task or its run, and not when a triggerer
    stops or hands over. The run is ended then, unless a later try or another pipeline run goes on with it.

    :param workspace: the workspace's root.
    :param scope: under which the job is noted.
    :param step_run_id: who waits.
    :param stop: what :attr:`RunStop.arguments` gives; None when nobody stops the pipeline run.
    :param settings: what the provider's trigger takes.
    """

    def __init__(
        self, *, workspace: str, scope: str, step_run_id: str, stop: dict[str, Any] | None, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.workspace = workspace
        self.scope = scope
        self.step_run_id = step_run_id
        self.stop = stop
        self._ending: asyncio.Task[None] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the trigger is made of anew, in another process."""
        own = {"workspace": self.workspace, "scope": self.scope, "step_run_id": self.step_run_id, "stop": self.stop}
        return f"{type(self).__module__}.{type(self).__qualname__}", {**super().serialize()[1], **own}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event."""
        ended = asyncio.create_task(self._first_event())
        stopped = asyncio.create_task(self._stopped())
        try:
            await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                yield ended.result()
            else:
                stopped.result()
                await self._end()
                yield TriggerEvent(self.step_run_id)
        finally:
            ended.cancel()
            stopped.cancel()

    async def on_kill(self) -> None:
        """End the run on Databricks and the step run's record, unless somebody else goes on with them.

        Airflow interrupts what takes longer than a second by another cancellation; the end is carried through.
        """
        self._ending = asyncio.create_task(self._end_unless_handed_over())
        await asyncio.shield(self._ending)

    async def _first_event(self) -> TriggerEvent:
        async with aclosing(super().run()) as events:
            return await anext(events)

    async def _stopped(self) -> None:
        """Return when another step has stopped the pipeline run."""
        while not await sync_to_async(self._is_stopped, thread_sensitive=False)():  # noqa: ASYNC110  # another process
            await asyncio.sleep(self.polling_period_seconds)

    def _is_stopped(self) -> bool:
        try:
            return stop_of(workspace_state(self.workspace), self.stop).failed_task() is not None
        except RefrainError as error:
            self.log.warning("The workspace %s cannot be read here: %s", self.workspace, error)
            return False

    def _is_still_deferred(self) -> bool:
        task = self.task_instance
        if task is None:
            return False
        found = RuntimeTaskInstance.get_task_states(
            dag_id=task.dag_id, task_ids=[task.task_id], run_ids=[task.run_id], map_index=task.map_index
        )
        states = found.get(task.run_id, {}).values()  # nothing of a run that was deleted
        return TaskInstanceState.DEFERRED in states

    async def _end_unless_handed_over(self) -> None:
        """Leave the run alone while the task is deferred: this triggerer was taken for dead, and another one waits."""
        if await sync_to_async(self._is_still_deferred, thread_sensitive=False)():
            self.log.info("Another triggerer waits for run %s in Databricks.", self.run_id)
        else:
            await self._end()

    async def _end(self) -> None:
        if await sync_to_async(self._is_wanted, thread_sensitive=False)():
            self.log.info("Run %s in Databricks goes on for another step run.", self.run_id)
        else:
            await super().on_kill()
        await sync_to_async(self._close, thread_sensitive=False)()

    def _is_wanted(self) -> bool:
        try:
            return not is_to_be_ended(workspace_state(self.workspace), self.scope, self.step_run_id, self.run_id)
        except RefrainError as error:
            self.log.warning("Who else waits for run %s cannot be seen from here: %s", self.run_id, error)
            return False

    def _close(self) -> None:
        try:
            close_record(workspace_state(self.workspace), self.step_run_id)
        except RefrainError as error:
            self.log.warning("The record of %s could not be updated: %s", self.step_run_id, error)
