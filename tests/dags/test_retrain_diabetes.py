"""The retraining example through the real engine: what an edit runs again, and what it leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from examples import Project, Ran

STEPS = {
    "ingest",
    "prepare",
    "train_ridge",
    "train_lasso",
    "train_elastic_net",
    "compare",
    "evaluate",
    "keep_best",
}
WINNER = "elastic_net"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]  # the first test waits for the first run


def test_the_first_run_starts_a_process_for_every_step(first_run: Ran) -> None:
    assert first_run.launched == STEPS
    assert str(first_run.steps["compare"].get_tags()["best"]).startswith(WINNER)


def test_a_second_run_reuses_every_step_and_starts_no_process(project: Project) -> None:
    again = project.run()

    assert again.launched == set()
    assert {name for name, step in again.steps.items() if step.is_reused} == STEPS


def test_an_edit_of_the_winning_training_runs_it_and_what_follows_but_no_other_training(project: Project) -> None:
    project.edit("train_elastic_net", "L1_RATIO = 0.5", "L1_RATIO = 0.4")
    edited = project.run()

    assert edited.launched == {"train_elastic_net", "compare", "evaluate", "keep_best"}
    assert str(edited.steps["compare"].get_tags()["best"]).startswith(WINNER)
    assert "train_elastic_net.py" in edited.reason("train_elastic_net")
    assert "input elastic_net" in edited.reason("compare")


def test_an_edit_of_a_losing_training_stops_at_the_comparison_and_once_undone_nothing_runs(project: Project) -> None:
    project.edit("train_ridge", "alpha=args.alpha)", "alpha=2 * args.alpha)")
    edited = project.run()

    assert edited.launched == {"train_ridge", "compare"}
    assert "train_ridge.py" in edited.reason("train_ridge")
    project.revert()
    assert project.run().launched == set()


def test_an_edit_that_leaves_the_model_as_it_was_stops_at_the_training(project: Project) -> None:
    project.edit("train_elastic_net", "L1_RATIO = 0.5", "L1_RATIO = 1 / 2")

    assert project.run().launched == {"train_elastic_net"}


def test_another_alpha_that_loses_stops_at_the_comparison_too(project: Project) -> None:
    changed = project.run(ridge_alpha=3.0)

    assert changed.launched == {"train_ridge", "compare"}
    assert "ridge_alpha: 1.0 → 3.0" in changed.reason("train_ridge")


def test_loading_the_pipeline_loads_no_airflow(project: Project) -> None:
    code = (
        "import runpy, sys; from refrain.pipelines.pipeline import defining\n"
        "with defining(): names = runpy.run_path(sys.argv[1])\n"
        "print(names['dag'], len(names['pipeline'].definition.steps), 'airflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(project.dags / "retrain_diabetes.py")],
        env={**os.environ, **project.environment},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["None", "8", "False"]
