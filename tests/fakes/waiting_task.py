"""A step's task that has to wait, because a run on another machine makes its result; without an Airflow."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from fakes.project import Project
from refrain import Pipeline
from refrain.execution.engine import Engine
from refrain.execution.lease import Holder
from refrain_operators import pipeline_dag
from refrain_operators.result_trigger import ResultTrigger
from refrain_operators.step_request import run_context

OTHER = Holder(1, nonce="ef", run_id="other.work.1", machine="elsewhere", process=1, beat=3, seconds=0.2)


class WaitingTask:
    """The task ``work`` of a DAG run, and what Airflow tells it."""

    def __init__(self, project: Project, step: Any) -> None:
        self._objects = project.state.objects
        self._dag: Any = pipeline_dag(Pipeline(project.workspace, [step], name="p"), has_plan=False)
        instance = SimpleNamespace(
            dag_id="p", run_id="run", task_id="work", map_index=-1, try_number=1, max_tries=2, start_date=None
        )
        self.context = {
            "ti": instance,
            "dag": self._dag,
            "dag_run": SimpleNamespace(conf={}, clear_number=0, start_date=None),
            "params": {"regenerate_outputs": False},
            "outlet_events": {},
        }
        engine = Engine(project.state)
        run = run_context(self.operator(), instance, project.workspace)
        self.request = self.operator().request(self.context, run, project.workspace, engine.runs, {})
        self._fingerprint = engine.ask(self.request).decision.fingerprint
        self.hold(OTHER)

    def hold(self, holder: Holder) -> None:
        """Let *holder* have the lease."""
        key = f"leases/{self._fingerprint[:2]}/{self._fingerprint}/{holder.number}"
        self._objects.put(key, holder.to_bytes())

    def operator(self) -> Any:
        """Return the operator as Airflow makes it anew in each process."""
        return self._dag.get_task("work").prepare_for_execution()

    def deferral(self, method: str = "execute", **given: Any) -> TaskDeferred:
        """Return how the task defers, when Airflow calls *method* in a process of its own."""
        with pytest.raises(TaskDeferred) as caught:
            self.operator().resume_execution(method, given, self.context)
        return caught.value

    def resume(self, deferral: TaskDeferred, event: str) -> Any:
        """Go on as Airflow does after *event*, in a process of its own."""
        given = {**(deferral.kwargs or {}), "event": event}
        return self.operator().resume_execution(deferral.method_name, given, self.context)


def event_of(deferral: TaskDeferred) -> Any:
    """Return what the trigger that a task has deferred to fires with, in the triggerer."""
    _, settings = deferral.trigger.serialize()

    async def first() -> Any:
        return (await anext(ResultTrigger(**settings).run())).payload

    return asyncio.run(first())
