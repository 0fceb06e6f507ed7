"""The trigger that waits for a run on Databricks: when it ends the run, and when it leaves it to others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from fakes.databricks import DatabricksProject, databricks, server
from fakes.waiting import eventually
from refrain.errors import SuspendedError
from refrain.execution.databricks.job import AwaitedRun
from refrain.execution.engine import Engine
from refrain.execution.request import RunContext, StepRequest
from refrain.pipelines.pipeline import Pipeline
from refrain.testing.databricks.runs import SubmittedRun
from refrain.tracking.record import RunStatus, RunStore
from refrain_operators.databricks_trigger import DatabricksRunTrigger
from refrain_operators.run_stop import RunStop

__all__ = ["databricks", "server"]

pytestmark = [  # what the provider does
    pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated"),
    pytest.mark.filterwarnings("ignore:BasicAuth is deprecated"),
    pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated"),
]

ROOT, OTHER_ROOT = "a" * 32, "b" * 32
ENDLESS = "import time\ntime.sleep(600)\n"
Make = Callable[..., DatabricksRunTrigger]


@pytest.fixture
def deferred(databricks: DatabricksProject, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Suspend a step, and return its trigger; the state is that which Airflow gives its task."""
    monkeypatch.setenv("AIRFLOW_CONN_DATABRICKS_DEFAULT", databricks.server.connection())
    (step,) = Pipeline(databricks.workspace, [databricks.script(ENDLESS)], name="p").definition.steps

    def make(state: str | None = "failed", root: str = ROOT, attempt: int = 1) -> DatabricksRunTrigger:
        run = RunContext(root, "p", "e", "w", databricks.workspace.root)
        with pytest.raises(SuspendedError) as caught:
            Engine(databricks.state).run(StepRequest(step, run, may_suspend=True, attempt=attempt))
        job = caught.value.job
        assert isinstance(job, AwaitedRun)
        trigger = DatabricksRunTrigger(
            workspace=databricks.workspace.root,
            scope=job.scope,
            step_run_id=caught.value.run_id,
            stop=RunStop(databricks.state, root, "0", "work").arguments,
            run_id=job.run_id,
            databricks_conn_id=job.conn_id,
            polling_period_seconds=1,
        )
        trigger._task_instance = SimpleNamespace(dag_id="d", task_id="work", run_id=root, map_index=-1)
        states = {root: {"work": state}} if state else {}
        monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(lambda **_: states))
        return trigger

    return make


def _run(databricks: DatabricksProject) -> SubmittedRun:
    (run,) = databricks.server.runs.all()
    return run


def _status(databricks: DatabricksProject, trigger: DatabricksRunTrigger) -> RunStatus:
    return RunStore(databricks.state).get(trigger.step_run_id).status


@pytest.mark.parametrize("state", ["failed", "success", "scheduled", None])
def test_a_task_that_was_marked_cleared_or_deleted_ends_its_run(
    databricks: DatabricksProject, deferred: Make, state: str | None
) -> None:
    trigger = deferred(state)
    asyncio.run(trigger.on_kill())
    assert eventually(lambda: _run(databricks).end is not None)
    assert _run(databricks).end.result == "CANCELED"  # type: ignore[union-attr]
    assert _status(databricks, trigger) is RunStatus.CANCELED


def test_a_task_that_is_still_deferred_was_handed_over_and_its_run_goes_on(
    databricks: DatabricksProject, deferred: Make
) -> None:
    trigger = deferred("deferred")
    asyncio.run(trigger.on_kill())
    assert _run(databricks).end is None
    assert _status(databricks, trigger) is RunStatus.RUNNING


def test_a_triggerer_that_stops_leaves_the_run_alone(databricks: DatabricksProject, deferred: Make) -> None:
    trigger = deferred()

    async def stopped() -> None:
        waiting = asyncio.create_task(anext(trigger.run()))  # type: ignore[arg-type]
        await asyncio.sleep(1.5)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
        await trigger.cleanup()

    asyncio.run(stopped())
    assert _run(databricks).end is None
    assert _status(databricks, trigger) is RunStatus.RUNNING


@pytest.mark.parametrize("later", [{"attempt": 2}, {"root": OTHER_ROOT}])
def test_a_run_that_somebody_else_goes_on_with_is_not_ended(
    databricks: DatabricksProject, deferred: Make, later: dict[str, Any]
) -> None:
    first = deferred()
    second = deferred(**later)
    assert first.run_id == second.run_id
    asyncio.run(first.on_kill())
    assert _run(databricks).end is None
    assert [_status(databricks, waiting) for waiting in (first, second)] == [RunStatus.CANCELED, RunStatus.RUNNING]
    asyncio.run(second.on_kill())
    assert eventually(lambda: _run(databricks).end is not None)


def test_an_interrupted_end_is_carried_through(databricks: DatabricksProject, deferred: Make) -> None:
    trigger = deferred()

    async def interrupted() -> None:
        ending = asyncio.create_task(trigger.on_kill())
        await asyncio.sleep(0)
        ending.cancel()
        await asyncio.wait([ending])
        assert trigger._ending is not None
        await trigger._ending

    asyncio.run(interrupted())
    assert eventually(lambda: _run(databricks).end is not None)


def test_a_step_elsewhere_that_stops_the_run_ends_the_job_and_resumes_the_task(
    databricks: DatabricksProject, deferred: Make
) -> None:
    trigger = deferred("deferred")

    async def event() -> object:
        return (await anext(trigger.run())).payload

    RunStop(databricks.state, ROOT, "0", "other").raise_sign()
    assert asyncio.run(event()) == trigger.step_run_id
    assert eventually(lambda: _run(databricks).end is not None)
    assert _status(databricks, trigger) is RunStatus.CANCELED


def test_the_trigger_is_made_anew_from_what_it_was_made_of(databricks: DatabricksProject, deferred: Make) -> None:
    path, arguments = deferred().serialize()
    assert path == "refrain_operators.databricks_trigger.DatabricksRunTrigger"
    assert DatabricksRunTrigger(**arguments).serialize() == (path, arguments)
