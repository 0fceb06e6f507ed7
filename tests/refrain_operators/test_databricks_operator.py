"""Databricks steps as Airflow tasks: which operator runs them, and how they defer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from fakes.databricks import DatabricksProject, databricks, server
from fakes.waiting_task import WaitingTask
from refrain import Pipeline
from refrain.errors import SuspendedError
from refrain.execution.asked import new_record
from refrain.execution.databricks.job import AwaitedRun
from refrain.tracking.record import RunStatus, RunStore
from refrain_operators import DatabricksOperator, pipeline_dag
from refrain_operators.step_operator import StepOperator

__all__ = ["databricks", "server"]


@pytest.fixture
def operator(databricks: DatabricksProject) -> Any:
    dag = pipeline_dag(Pipeline(databricks.workspace, [databricks.script()], name="p"))
    assert dag is not None
    return dag.get_task("work")


def test_a_pipeline_s_databricks_steps_have_an_operator_of_their_own(databricks: DatabricksProject) -> None:
    steps = [databricks.script(), databricks.step("plain", "print(1)")]
    dag = pipeline_dag(Pipeline(databricks.workspace, steps, name="p"))
    assert dag is not None
    assert type(dag.get_task("work")) is DatabricksOperator
    assert type(dag.get_task("plain")) is StepOperator


def test_a_suspended_step_waits_in_the_triggerer(operator: Any) -> None:
    awaited = AwaitedRun(7, "http://page", "lab", 0.2, "ab" * 32)
    with pytest.raises(TaskDeferred) as caught:
        operator._wait_elsewhere(SuspendedError("goes on", "root.work.1", awaited))
    path, kwargs = caught.value.trigger.serialize()
    assert path == "refrain_operators.databricks_trigger.DatabricksRunTrigger"
    assert (kwargs["run_id"], kwargs["databricks_conn_id"], kwargs["polling_period_seconds"]) == (7, "lab", 1)
    assert caught.value.method_name == "resume_run"


def test_a_suspended_step_run_that_has_to_wait_for_another_is_remembered(databricks: DatabricksProject) -> None:
    task = WaitingTask(databricks, databricks.script())
    runs = RunStore(databricks.state)
    run_id = runs.new_step_run(task.request.run.root_id, "work")
    runs.put(new_record(task.request, run_id, status=RunStatus.RUNNING))
    first = task.deferral("resume_run")
    again = task.deferral(first.method_name, event="", **first.kwargs or {})
    assert again.kwargs == {"has_begun": True}
    assert [record.run_id for record in runs.steps(run_id.root)] == [str(run_id)]


def test_the_run_s_page_is_a_link_of_the_task_at_once(operator: Any) -> None:
    pushed: dict[str, str] = {}
    operator._instance = SimpleNamespace(xcom_push=pushed.__setitem__)
    operator._instance.xcom_push = lambda key, value: pushed.update({key: value})
    operator.operator_extra_links = ()
    operator.listener().linked("work", "Databricks run", "http://page")
    (link,) = operator.operator_extra_links
    assert (link.name, link.get_link(operator, ti_key=None)) == ("Databricks run", "http://page")
    assert pushed == {link.xcom_key: "http://page"}
