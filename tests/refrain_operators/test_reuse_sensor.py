"""ReuseSensor: plans, waits as long as that helps, and tells Airflow what to skip."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowRescheduleException, DownstreamTasksSkipped

from fakes.planned import COPY, Planned
from refrain.execution.lease import Holder
from refrain.storage.state import WorkspaceState
from refrain_operators import ReuseSensor


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    return Planned(tmp_path)


def _sensor(planned: Planned, made: Any = lambda *_: False, **settings: Any) -> ReuseSensor:
    """Return a planning task like the pipeline's own, in front of the same steps."""

    class Told(ReuseSensor):
        is_being_made = staticmethod(made)

    for step in ("first", "alone"):
        planned.dag.get_task(step).upstream_task_ids.clear()
    sensor = Told(task_id="plan_again", dag=planned.dag, **settings)
    sensor.set_downstream([planned.dag.get_task("first"), planned.dag.get_task("alone")])
    return sensor


def test_reused_steps_are_named_in_the_plan_and_skipped(planned: Planned) -> None:
    context = planned.context()
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        _sensor(planned).execute(context)
    assert skipped.value.tasks == ["alone", "first", "second", "third"]
    assert context["ti"].pushed == {"plan": {"schema": 1, "reused": ["alone", "first", "second", "third"]}}
    assert len(planned.runs.steps(planned.root_id)) == 4


def test_a_plan_without_a_reused_step_skips_nothing(planned: Planned) -> None:
    context = planned.context(regenerate_outputs=True)
    _sensor(planned).execute(context)
    assert context["ti"].pushed == {"plan": {"schema": 1, "reused": []}}


def test_it_waits_outside_of_the_worker_while_a_result_is_being_made(planned: Planned) -> None:
    planned.write("first", COPY + " # changed")
    sensor = _sensor(planned, made=lambda *_: True, poke_interval=30)
    context = planned.context()
    with pytest.raises(AirflowRescheduleException):
        sensor.execute(context)
    assert not planned.runs.exists(planned.root_id)


@pytest.mark.parametrize(("beat", "ends"), [(3, DownstreamTasksSkipped), (4, AirflowRescheduleException)])
def test_it_waits_only_for_those_who_give_signs_of_life(planned: Planned, beat: int, ends: type[BaseException]) -> None:
    planned.write("first", COPY + " # changed")
    beats = iter((3, beat))

    def is_being_made(state: WorkspaceState, fingerprint: str) -> bool:
        holder = Holder(1, nonce="ef", machine="elsewhere", process=1, beat=next(beats))
        state.objects.put(f"leases/{fingerprint[:2]}/{fingerprint}/1", holder.to_bytes())
        return True

    sensor, context = _sensor(planned, is_being_made), planned.context()
    with pytest.raises(AirflowRescheduleException):
        sensor.execute(context)
    with pytest.raises(ends):
        sensor.execute(context)


def test_after_its_timeout_it_goes_on_with_what_it_knows(planned: Planned, capsys: pytest.CaptureFixture[str]) -> None:
    planned.write("first", COPY + " # changed")
    sensor = _sensor(planned, made=lambda *_: True, mode="poke", poke_interval=0, timeout=0)
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        sensor.execute(planned.context())
    assert skipped.value.tasks == ["alone"]
    assert "The steps are left to themselves." in capsys.readouterr().out


def test_where_nothing_can_be_planned_each_step_is_left_to_itself(
    planned: Planned, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in ("first", "alone"):
        planned.dag.get_task(step).workspace = str(planned.folder / "first" / "work.py")
    context = planned.context()
    _sensor(planned).execute(context)
    assert "Nothing can be planned, each step decides for itself: " in capsys.readouterr().out
    assert context["ti"].pushed == {}


def test_faults_are_retried_as_those_of_steps_are() -> None:
    with DAG("plain"):
        plain = ReuseSensor(task_id="plan")
    with DAG("given", default_args={"retries": 5, "retry_delay": timedelta(seconds=7)}):
        given = ReuseSensor(task_id="plan")
    assert (plain.retries, plain.retry_delay.total_seconds()) == (2, 5.0)
    assert (given.retries, given.retry_delay.total_seconds()) == (5, 7.0)
