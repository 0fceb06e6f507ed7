"""The task that made a reused result: found in the run records, named and linked to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refrain.pipelines.workspace import Workspace
from refrain.tracking.record import RunRecord, RunStatus, RunStore
from refrain_operators.origin import Origin, ReusedFrom

MADE = {"kind": "airflow", "dag_id": "dag", "run_id": "scheduled__2026-01-01T00:00:00+00:00", "task_id": "group.fit"}


def _recorded(folder: Path, origin: dict[str, Any]) -> Origin | None:
    runs = RunStore(Workspace(folder).state)
    run_id = "0123456789abcdef0123456789abcdef"
    runs.create(RunRecord(run_id, "n", "p", "e", RunStatus.COMPLETED, origin=origin))
    return Origin.of(run_id, runs)


def test_a_task_is_found_named_and_linked_to(tmp_path: Path) -> None:
    origin = _recorded(tmp_path, {**MADE, "map_index": -1})
    assert str(origin) == "task group.fit in run scheduled__2026-01-01T00:00:00+00:00 of DAG dag"
    assert origin
    assert origin.path == "/dags/dag/runs/scheduled__2026-01-01T00%3A00%3A00%2B00%3A00/tasks/group.fit"


def test_a_mapped_task_is_told_from_its_siblings(tmp_path: Path) -> None:
    origin = _recorded(tmp_path, {**MADE, "run_id": "r", "map_index": 0})
    assert str(origin) == "task group.fit (0) in run r of DAG dag"
    assert origin
    assert origin.path == "/dags/dag/runs/r/tasks/group.fit/mapped/0"


def test_a_run_without_airflow_has_no_task(tmp_path: Path) -> None:
    assert _recorded(tmp_path, {"kind": "local"}) is None


def test_a_step_that_ran_and_a_run_that_is_gone_have_no_origin(tmp_path: Path) -> None:
    runs = RunStore(Workspace(tmp_path).state)
    assert Origin.of(None, runs) is None
    assert Origin.of("fedcba9876543210fedcba9876543210", runs) is None


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        ("", "/dags/d/runs/r/tasks/t"),
        ("http://127.0.0.1:8080", "/dags/d/runs/r/tasks/t"),
        ("https://ours.example/airflow/", "/airflow/dags/d/runs/r/tasks/t"),
    ],
)
def test_the_address_keeps_the_path_of_a_proxy_and_leaves_the_host_to_the_reader(base_url: str, address: str) -> None:
    assert Origin("d", "r", "t").address(base_url) == address


def test_the_button_leads_nowhere_before_the_task_has_run() -> None:
    assert ReusedFrom().get_link(object(), ti_key=None) == ""
