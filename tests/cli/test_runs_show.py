from __future__ import annotations

from pathlib import Path

import pytest

from cli.sample import Refrain


@pytest.fixture
def run_id(refrain: Refrain, project: Path) -> str:
    found: str = refrain("run", "pipeline.py", "--json").document["run_id"]
    return found


def test_the_start_of_an_id_is_enough(refrain: Refrain, run_id: str) -> None:
    assert refrain("runs", "show", run_id[:6], "--json").document["run_id"] == run_id


def test_no_id_means_the_newest_run(refrain: Refrain, run_id: str) -> None:
    newest = refrain("run", "pipeline.py", "--json").document["run_id"]
    assert refrain("runs", "show").out.splitlines()[0].split() == ["Run", newest]


def test_a_run_is_shown_with_steps_metrics_and_outputs(refrain: Refrain, run_id: str, project: Path) -> None:
    out = refrain("runs", "show", run_id).out
    assert "Parameters  alpha=0.5" in out
    assert "Metrics     best=0.5" in out
    assert "train  alpha_seen  0.5" in out
    assert f"{project}/.refrain/workspace/datastores/workspaceblobstore/azureml/{run_id}.train.1/model" in out
    assert "9 B" in out


def test_a_reused_step_shows_the_metrics_and_the_log_of_the_run_that_made_it(refrain: Refrain, run_id: str) -> None:
    refrain("run", "pipeline.py")
    step = refrain("runs", "show", "--json").document["steps"][1]
    assert (step["state"], step["reused_from"]) == ("reused", f"{run_id}.train.1")
    assert step["metrics"] == {"alpha_seen": 0.5}
    assert f"{run_id}/steps/train.1/logs/" in step["log"]


@pytest.mark.parametrize("rest", ["train", "train.1"])
def test_a_step_run_is_shown_with_its_details(refrain: Refrain, run_id: str, rest: str) -> None:
    called = refrain("runs", "show", f"{run_id[:8]}.{rest}")
    assert called.out.splitlines()[0].split() == ["Step", "run", f"{run_id}.train.1"]
    assert "Decision     runs: first run" in called.out
    assert "user_logs/std_log.txt" in called.out


def test_a_failed_run_shows_why_and_where_to_look(refrain: Refrain, project: Path) -> None:
    failed = refrain("run", "pipeline.py", "--param", "alpha=-1", "--json").document["run_id"]
    out = refrain("runs", "show").out
    assert "alpha must not be negative" in out
    assert f"Look further: refrain runs show {failed[:8]}.train" in out


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("zzz", "No run has an id that begins with 'zzz'"),
        ("../..", "No run has an id that begins with ''"),
        ("{run}.trian", "has no step 'trian'. Known: prepare, train. Did you mean 'train'?"),
    ],
)
def test_an_unknown_run_or_step_is_wrong_use(refrain: Refrain, run_id: str, word: str, says: str) -> None:
    called = refrain("runs", "show", word.format(run=run_id))
    assert called.code == 2
    assert says in called.err


def test_an_id_that_fits_several_runs_names_them(refrain: Refrain, run_id: str, project: Path) -> None:
    runs = project / ".refrain/workspace/runs"
    twin = f"{run_id[:4]}{'0' * 28}"
    (runs / twin).mkdir()
    called = refrain("runs", "show", run_id[:4])
    assert called.code == 2
    assert f"2 runs have an id that begins with '{run_id[:4]}'" in called.err
    assert twin[:8] in called.err
