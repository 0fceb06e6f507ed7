"""A step's task that waits for another run's result: it defers, and goes on when a trigger says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from airflow.sdk.exceptions import TaskDeferred

from fakes.project import WRITES, Project
from fakes.waiting_task import OTHER, WaitingTask, event_of
from refrain import PipelineData
from refrain_operators import result_trigger


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WaitingTask:
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(result_trigger, "_LOOK_EVERY_SECONDS", 0.01)
    project = Project(tmp_path)
    return WaitingTask(project, project.step("work", WRITES, [PipelineData("out")]))


def test_it_takes_over_from_a_run_that_has_died_on_another_machine(task: WaitingTask) -> None:
    deferral = task.deferral()
    reference = task.resume(deferral, event_of(deferral))
    assert (reference["reused_from"], reference["outputs"]["out"]["bytes"]) == (None, 4)


def test_it_waits_on_for_a_run_that_has_given_a_sign_of_life_since(task: WaitingTask) -> None:
    deferral = task.deferral()
    event = event_of(deferral)
    task.hold(replace(OTHER, beat=4))
    with pytest.raises(TaskDeferred):
        task.resume(deferral, event)


def test_it_waits_on_when_another_one_was_faster_to_take_over(task: WaitingTask) -> None:
    deferral = task.deferral()
    event = event_of(deferral)
    task.hold(replace(OTHER, number=2, nonce="01"))
    with pytest.raises(TaskDeferred):
        task.resume(deferral, event)
