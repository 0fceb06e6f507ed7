"""Batch scoring on a real Airflow: image files, and a table by partition keys that is killed half-way."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from acceptance.example import Example, eventually
from acceptance.running_airflow import RunningAirflow
from refrain import Workspace
from refrain.pipelines.run import PipelineRun
from refrain.storage.unfinished import UNFINISHED
from refrain.tracking.run_id import root_id_for
from refrain_plugin.run_view import run_view

pytestmark = pytest.mark.timeout(600)  # a busy machine takes long to load pandas so often

DAGS = Path(__file__).parents[2] / "dags"
ORDERS = 12_000


def shown(airflow: RunningAirflow, name: str) -> Example:
    """An example of dags/, on the Airflow of the tests."""
    shutil.copy(DAGS / f"{name}.py", airflow.dags_folder)
    shutil.copytree(DAGS / f"{name}_steps", airflow.dags_folder / f"{name}_steps")
    example = Example(airflow, name)
    example.ready()
    return example


@pytest.fixture(scope="module")
def digits(airflow: RunningAirflow) -> Example:
    return shown(airflow, "score_digits")


@pytest.fixture(scope="module")
def digits_run(digits: Example) -> str:
    return digits.run()


@pytest.fixture(scope="module")
def orders(airflow: RunningAirflow) -> Example:
    return shown(airflow, "score_orders")


def test_each_image_has_a_line_and_most_are_right(digits: Example, digits_run: str) -> None:
    lines = (digits.path(digits_run, "score", "predictions") / "predictions.txt").read_text().splitlines()
    assert len(lines) == 1797
    assert all(re.fullmatch(r"digit-\d{4}\.pgm: \d", line) for line in lines)
    report = json.loads((digits.path(digits_run, "report", "report") / "report.json").read_text())
    assert report["files"] == 1797
    assert report["accuracy"] > 0.9


def test_the_model_is_registered_by_one_step_and_read_by_the_next(digits: Example, digits_run: str) -> None:
    records, model = digits.records(digits_run), Workspace(digits.airflow.workspace).models["digits_model"]
    assert (model.version, model.run_id, model.tags) == (1, records["train"].run_id, {"images": "898"})
    assert [(use["how"], use["version"]) for use in records["train"].models] == [("registered", 1)]
    assert [(use["how"], use["version"]) for use in records["score"].models] == [("input", 1)]


def test_the_tasks_log_shows_the_progress(digits: Example, digits_run: str) -> None:
    log = digits.log(digits_run, "score")
    assert "18 mini-batches, 2 worker processes" in log
    assert "18 of 18 mini-batches, 0 failed, 0 retried" in log


def test_the_page_of_the_run_shows_the_progress(digits: Example, digits_run: str) -> None:
    run = PipelineRun.get(Workspace(digits.airflow.workspace), root_id_for("score_digits", digits_run))
    score = next(step for step in run_view(run, ["score"])["steps"] if step["key"] == "score")
    assert (score["progress"]["done"], score["progress"]["all"]) == (18, 18)
    assert score["progress"]["facts"][:3] == ["18 of 18 mini-batches", "0 failed", "0 retried"]


def test_other_numbers_of_processes_reuse_the_result(digits: Example, digits_run: str) -> None:
    again = digits.run(processes=1)
    assert digits.started(again) == set()


def test_a_task_that_is_killed_half_way_is_gone_on_with(orders: Example) -> None:
    run_id = orders.trigger(resamples=5_000)
    assert eventually(lambda: done(orders) >= 5, patience=400), orders.errors(run_id)
    before = done(orders)
    os.kill(engine_of(orders), signal.SIGKILL)
    assert orders.wait(run_id) == "success", orders.errors(run_id)

    rows = (orders.path(run_id, "check", "checked") / "checked.txt").read_text().splitlines()
    assert [int(row.split()[0]) for row in rows] == list(range(ORDERS))
    log = orders.log(run_id, "check", 2)
    kept = re.search(r"48 mini-batches done \((\d+) of them by an earlier try\)", log)
    assert kept, log
    assert before <= int(kept[1]) < 48
    assert [record.status.value for record in orders.attempts(run_id, "check")] == ["Failed", "Completed"]
    assert list((Workspace(orders.airflow.workspace).state.root / UNFINISHED).glob("*/*")) == []


def done(example: Example) -> int:
    """How many mini-batches the journal of the unfinished work names."""
    journals = (example.airflow.workspace / UNFINISHED).glob("*/*/journal")
    return sum(path.read_bytes().count(b'\n{"b":') for path in journals)


def engine_of(example: Example) -> int:
    """The process of the task that checks orders."""
    owners = list((example.airflow.workspace / "staging").glob("*.check.1/owner.json"))
    return int(json.loads(owners[0].read_text())["process"])
