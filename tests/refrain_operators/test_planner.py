"""Planner: what it decides of a pipeline's steps, and what it leaves in the workspace."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from airflow.sdk.definitions.param import Param, ParamsDict

from fakes.planned import COPY, Planned
from refrain.storage.state import WorkspaceState
from refrain.tracking.record import RunStatus


@pytest.fixture
def planned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Planned:
    caplog.set_level(logging.INFO, "refrain.plan")
    return Planned(tmp_path)


def test_steps_are_reused_one_behind_the_other_and_recorded_only_when_told(planned: Planned) -> None:
    planner = planned.planner()
    assert planner.reused == {"first", "second", "third", "alone"}
    assert not planned.runs.exists(planned.root_id)
    results = planner.record()
    records = {record.key: record for record in planned.runs.steps(planned.root_id)}
    assert {key: result.run_id for key, result in results.items()} == {k: r.run_id for k, r in records.items()}
    assert {record.status for record in records.values()} == {RunStatus.COMPLETED}
    assert all(record.reused_from for record in records.values())
    assert records["third"].origin["task_id"] == "third"
    assert records["third"].origin["planned_by"] == "plan"
    assert planned.runs.get(planned.root_id).pipeline == "planned"


def test_a_changed_step_runs_and_those_behind_it_wait(planned: Planned, caplog: pytest.LogCaptureFixture) -> None:
    planned.write("second", COPY + " # changed")
    planner = planned.planner()
    assert planner.reused == {"first", "alone"}
    assert planner.can_start == {"second"}
    assert "Step second runs: changed: " in caplog.text
    assert "Step third waits for its inputs: after second" in caplog.text
    assert set(planner.record()) == {"first", "alone"}
    assert {record.key for record in planned.runs.steps(planned.root_id)} == {"first", "alone"}


def test_a_run_that_regenerates_outputs_reuses_nothing_and_waits_for_nobody(planned: Planned) -> None:
    planner = planned.planner(lambda *_: True, regenerate_outputs=True)
    assert (planner.reused, planner.can_start, planner.awaited) == (set(), {"first", "alone"}, set())
    assert planner.record() == {}
    assert not planned.runs.exists(planned.root_id)


def test_it_is_worth_waiting_for_a_result_that_is_being_made_unless_another_step_can_start(planned: Planned) -> None:
    asked = []

    def is_being_made(state: WorkspaceState, fingerprint: str) -> bool:
        asked.append((state.root, fingerprint))
        return len(asked) == 1

    planned.write("first", COPY + " # changed")
    planner = planned.planner(is_being_made)
    assert (planner.awaited, planner.reused, planner.is_worth_waiting) == ({"first"}, {"alone"}, True)
    assert asked[0][0] == planned.workspace.state.root
    assert len(asked[0][1]) == 64
    asked.clear()
    assert not planned.planner(is_being_made, size=2).is_worth_waiting


def test_a_task_that_has_a_state_is_left_alone(planned: Planned) -> None:
    planned.states = {"first": "running", "alone": "success"}
    assert planned.planner().reused == set()


def test_what_an_earlier_try_has_skipped_stays_reused_and_is_not_recorded_again(planned: Planned) -> None:
    planned.planner().record()
    planned.states = {"first": "skipped", "second": "skipped"}
    planner = planned.planner()
    assert planner.reused == {"first", "second", "third", "alone"}
    assert set(planner.record()) == {"third", "alone"}
    assert len(planned.runs.attempts(planned.root_id, "first")) == 1


def test_a_skipped_task_without_a_record_was_not_reused(planned: Planned) -> None:
    planned.states = {"first": "skipped"}
    assert planned.planner().reused == {"alone"}


def test_a_step_that_cannot_be_decided_is_left_to_itself(planned: Planned, caplog: pytest.LogCaptureFixture) -> None:
    (planned.folder / "alone" / "work.py").unlink()
    (planned.folder / "alone").rmdir()
    planner = planned.planner()
    assert planner.reused == {"first", "second", "third"}
    assert planner.can_start == {"alone"}
    assert "Step alone is left to itself: " in caplog.text


def test_a_step_whose_own_params_are_wrong_is_left_to_itself(
    planned: Planned, caplog: pytest.LogCaptureFixture
) -> None:
    task = planned.dag.get_task("alone")
    task.params = ParamsDict({"size": 1, "own": Param(1, type="integer", source="task")})
    planner = planned.planner(own="much")
    assert planner.reused == {"first", "second", "third"}
    assert planner.can_start == {"alone"}
    assert "Step alone is left to itself: " in caplog.text


def test_values_of_parameters_decide(planned: Planned, caplog: pytest.LogCaptureFixture) -> None:
    assert planned.planner(size=2).reused == {"first", "second", "third"}
    assert "parameter size: 1 → 2" in caplog.text
