"""The example DAGs on a real Airflow; one session of it serves all tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]  # the first test waits for the session

Seen = dict[str, Any]
SCREENING_STEPS = {"extract", "fit", "report"}


def tasks(on_airflow: Seen, dag_id: str, run: int) -> dict[str, dict[str, Any]]:
    done = on_airflow["runs"][dag_id][run]
    assert done["state"] == "success"
    found: dict[str, dict[str, Any]] = done["tasks"]
    return found


def reused(found: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, task in found.items() if task["reused_from"]}


def text(found: dict[str, dict[str, Any]], task: str, output: str) -> str:
    uri = found[task]["xcom"]["outputs"][output]["uri"]
    return Path(urlsplit(uri).path, "text").read_text()


def test_every_dag_file_is_read_without_errors(on_airflow: Seen) -> None:
    assert on_airflow["errors"] == {}
    assert {"retrain_diabetes", "screening_report", "alpha_sweep"} <= set(on_airflow["dags"])


def test_a_file_read_again_gives_the_same_dag(on_airflow: Seen) -> None:
    assert on_airflow["again"] == on_airflow["dags"]


def test_the_order_of_the_retraining_follows_from_its_data(on_airflow: Seen) -> None:
    assert on_airflow["dags"]["retrain_diabetes"]["edges"] == [
        "compare > evaluate",
        "compare > keep_best",
        "evaluate > keep_best",
        "ingest > prepare",
        "plan > ingest",
        "prepare > evaluate",
        "prepare > keep_best",
        "prepare > train_elastic_net",
        "prepare > train_lasso",
        "prepare > train_ridge",
        "train_elastic_net > compare",
        "train_lasso > compare",
        "train_ridge > compare",
    ]


def test_the_pipeline_parameters_are_the_params_of_the_dag_with_their_types(on_airflow: Seen) -> None:
    assert on_airflow["dags"]["retrain_diabetes"]["params"] == {
        "seed": ["integer", 7],
        "holdout_share": ["number", 0.2],
        "ridge_alpha": ["number", 1.0],
        "lasso_alpha": ["number", 1.0],
        "elastic_net_alpha": ["number", 0.1],
        "regenerate_outputs": [["boolean", "array"], False],
    }


def test_the_registered_output_is_an_asset(on_airflow: Seen) -> None:
    assert on_airflow["dags"]["retrain_diabetes"]["outlets"] == {"keep_best": ["refrain://datasets/diabetes-model"]}


def test_a_schedule_waits_for_its_next_tick_even_just_behind_one(on_airflow: Seen) -> None:
    # By its default Airflow takes a tick that is less than a tenth of the period ago: all Sunday for a weekly one.
    assert on_airflow["dags"]["retrain_diabetes"]["run_immediately"] == "0:00:00"


def test_what_a_local_run_made_is_reused_on_airflow(on_airflow: Seen) -> None:
    found = tasks(on_airflow, "retrain_diabetes", 0)

    assert len(found) == 9
    assert reused(found) == set(found) - {"plan"}
    states = {name: task["state"] for name, task in found.items()}
    # The registered model is an asset, whose event is that of a task that ran.
    assert {name for name, state in states.items() if state != "skipped"} == {"plan", "keep_best"}


def test_ordinary_operators_run_behind_reused_steps_as_behind_others(on_airflow: Seen) -> None:
    first, second = (tasks(on_airflow, "screening_report", run) for run in (0, 1))

    assert reused(first) == set()
    assert reused(second) == SCREENING_STEPS
    states = {name: task["state"] for name, task in second.items()}
    assert states == {name: task["state"] for name, task in first.items()}
    assert [name for name, state in states.items() if state == "skipped"] == ["ask_reviewer"]
    assert second["choose_reader"]["state"] == second["publish"]["state"] == second["tell_where"]["state"] == "success"


def test_ordinary_operators_get_the_address_of_a_reused_output(on_airflow: Seen) -> None:
    first, second = (tasks(on_airflow, "screening_report", run) for run in (0, 1))
    uri = first["report"]["xcom"]["outputs"]["report"]["uri"]

    assert first["tell_where"]["xcom"] == second["tell_where"]["xcom"] == f"The report is at {uri}"


def test_each_instance_of_a_mapped_step_is_reused_by_itself_and_so_is_the_step_that_gathers_them(
    on_airflow: Seen,
) -> None:
    first, second = (tasks(on_airflow, "alpha_sweep", run) for run in (0, 1))

    assert set(first) == {"load", "choose", *(f"validate[{index}]" for index in range(5))}
    assert reused(first) == set()
    assert reused(second) == set(second)


def test_a_mapped_step_has_the_edges_and_the_retries_of_a_plain_one(on_airflow: Seen) -> None:
    sweep = on_airflow["dags"]["alpha_sweep"]

    assert sweep["edges"] == ["load > validate", "validate > choose"]
    assert sweep["retries"] == {"load": 2, "validate": 2, "choose": 2}


def test_a_single_mapped_instance_is_gathered_as_several_are(on_airflow: Seen) -> None:
    found = tasks(on_airflow, "mapped_cases", 0)

    assert text(found, "gather_one", "single") == "gather_one.1(one-0.1(begin))"


def test_a_step_in_a_mapped_group_reads_the_output_of_its_own_instance(on_airflow: Seen) -> None:
    found = tasks(on_airflow, "mapped_cases", 0)

    assert text(found, "both.second[0]", "second") != text(found, "both.second[1]", "second")
    assert text(found, "both.second[1]", "second") == "both.second-1.1(both.first-1.1(begin))"


def test_the_outputs_of_a_mapped_group_are_gathered_in_the_order_of_their_indexes(on_airflow: Seen) -> None:
    found = tasks(on_airflow, "mapped_cases", 0)
    seconds = [text(found, f"both.second[{index}]", "second") for index in (0, 1)]

    assert text(found, "gather_group", "group") == f"gather_group.1({' '.join(seconds)})"
