"""Plan: what the steps behind a planning task make of what it published."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from refrain.errors import UntrustedReferenceError
from refrain_operators.plan import UnfinishedPlan, plan, planned_before, reused_of


class Instance:
    """A task instance that knows the states of others, and one XCom."""

    dag_id, run_id = "native", "run"

    def __init__(self, states: dict[str, str | None], xcom: Any = None) -> None:
        self.states = states
        self.xcom = xcom

    def get_task_states(self, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, dict[str, str | None]]:
        assert (dag_id, run_ids) == (self.dag_id, [self.run_id])
        return {self.run_id: {name: state for name, state in self.states.items() if name in task_ids}}

    def xcom_pull(self, task_ids: str, key: str) -> Any:
        assert (task_ids, key) == ("plan", "plan")
        return json.loads(json.dumps(self.xcom))


def _before(states: dict[str, str | None], xcom: Any = None, planned_by: tuple[str, ...] = ("plan",)) -> frozenset[str]:
    operator = SimpleNamespace(upstream_task_ids={"first", "second"}, planned_by=planned_by)
    return planned_before(operator, {"ti": Instance({"plan": "success", **states}, xcom)})


def test_skipped_tasks_that_the_plan_names_were_reused() -> None:
    states: dict[str, str | None] = {"first": "skipped", "second": "success"}
    assert _before(states, plan(["first", "second", "elsewhere"])) == {"first"}


def test_another_skipped_task_skips_the_step() -> None:
    with pytest.raises(AirflowSkipException, match="Skipped, because second before it was, and not for reuse"):
        _before({"first": "skipped", "second": "skipped"}, plan(["first"]))


@pytest.mark.parametrize("state", ["skipped", "failed", "upstream_failed"])
def test_the_plan_of_a_planning_task_that_did_not_succeed_this_time_is_not_believed(state: str | None) -> None:
    with pytest.raises(AirflowSkipException, match="because first before it"):
        _before({"plan": state, "first": "skipped"}, plan(["first"]))


@pytest.mark.parametrize("state", [None, "scheduled", "queued", "running", "up_for_reschedule", "up_for_retry"])
def test_the_plan_of_a_planning_task_that_is_at_work_is_waited_for(state: str | None) -> None:
    with pytest.raises(UnfinishedPlan, match="Whether first is reused, plan will tell"):
        _before({"plan": state, "first": "skipped", "second": "success"})
    assert _before({"plan": state, "first": "success"}) == frozenset()


def test_a_planning_task_that_is_not_of_the_run_is_not_waited_for() -> None:
    with pytest.raises(AirflowSkipException, match="because first before it"):
        _before({"first": "skipped"}, planned_by=("elsewhere",))


def test_a_planning_task_that_was_marked_as_success_has_no_plan() -> None:
    assert _before({"first": "success", "second": "success"}) == frozenset()
    with pytest.raises(AirflowSkipException, match="because first before it"):
        _before({"first": "skipped"}, None)


def test_a_step_that_no_plan_concerns_asks_nothing() -> None:
    operator = SimpleNamespace(upstream_task_ids={"first"}, planned_by=())
    assert planned_before(operator, {}) == frozenset()


@pytest.mark.parametrize("value", ["first", {"schema": 2, "reused": []}, {"schema": 1, "reused": [1]}, {"schema": 1}])
def test_what_is_no_plan_is_refused(value: Any) -> None:
    with pytest.raises(
        UntrustedReferenceError, match=r"planning task 'plan' published .*, which is no plan\. Clear it"
    ):
        reused_of(value, "plan")
