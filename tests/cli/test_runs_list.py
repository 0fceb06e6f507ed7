from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.sample import Refrain
from refrain.storage.sealed import sealed


def test_runs_are_listed_newest_first_with_what_ran_and_what_was_reused(refrain: Refrain, project: Path) -> None:
    ids = [refrain("run", "pipeline.py", "--json").document["run_id"] for _ in range(2)]
    lines = refrain("runs").out.splitlines()
    assert lines[0].split() == [
        "RUN", "PIPELINE", "EXPERIMENT", "STATUS", "STARTED", "TIME", "RAN", "REUSED", "SAVED",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[1:]] == [ids[1][:8], ids[0][:8]]
    assert lines[1].split()[1:4] == ["retrain", "default", "Completed"]
    assert lines[1].split()[8:10] == ["0", "2"]


def test_runs_list_is_the_same_as_runs(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py")
    assert refrain("runs", "list").out == refrain("runs").out


def test_a_limit_and_an_experiment_choose(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py", "--experiment", "trial")
    refrain("run", "pipeline.py")
    assert [r["experiment"] for r in refrain("runs", "--limit", "1", "--json").document["runs"]] == ["default"]
    assert [r["experiment"] for r in refrain("runs", "--limit", "0", "--json").document["runs"]] == ["default", "trial"]
    found = refrain("runs", "list", "--experiment", "trial", "--pipeline", "retrain", "--json").document["runs"]
    assert [run["experiment"] for run in found] == ["trial"]


def test_a_negative_limit_is_wrong_use(refrain: Refrain, project: Path) -> None:
    assert refrain("runs", "--limit", "-1").err == "refrain: --limit must be 0 or more, not -1.\n"


def test_without_runs_the_next_command_is_named(refrain: Refrain, project: Path) -> None:
    called = refrain("runs")
    assert called.code == 0
    assert called.out.endswith("Start one with: refrain run FILE\n")


def test_without_a_workspace_the_way_to_one_is_named(
    refrain: Refrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    called = refrain("runs")
    assert called.code == 2
    assert "Make a workspace with 'refrain init'" in called.err


def test_another_workspace_can_be_named(refrain: Refrain, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = refrain("run", "pipeline.py", "--json").document["run_id"]
    monkeypatch.chdir("/")
    found = refrain("runs", "--workspace", str(project / ".refrain/workspace"), "--json").document["runs"]
    assert [run["run_id"] for run in found] == [run_id]


def test_a_run_whose_process_was_killed_has_failed(refrain: Refrain, project: Path) -> None:
    run_id = refrain("run", "pipeline.py", "--json").document["run_id"]
    path = project / ".refrain/workspace/runs" / run_id / "run.json"
    record = json.loads(path.read_text())["record"]
    record |= {"status": "Running", "ended": None, "origin": {**record["origin"], "process": 1, "started": "no such"}}
    path.write_bytes(sealed(json.dumps(record)))
    (run,) = refrain("runs", "--json").document["runs"]
    assert (run["status"], run["seconds"]) == ("Failed", None)
    assert run["error"] == "The process that ran it ended before the run did."
