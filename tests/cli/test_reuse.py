from __future__ import annotations

from pathlib import Path

from cli.sample import Refrain


def test_a_run_is_pinned_and_unpinned(refrain: Refrain, project: Path) -> None:
    run_id = refrain("run", "pipeline.py", "--json").document["run_id"]
    called = refrain("reuse", "pin", run_id[:8], "--note", "the baseline")
    assert called.code == 0
    assert called.out.splitlines()[-1] == "2 results pinned."
    (result,) = refrain("reuse", "unpin", f"{run_id[:8]}.train", "--json").document["results"]
    assert (result["run_id"], result["pipeline"], result["step"]) == (f"{run_id}.train.1", "retrain", "train")
    assert refrain("reuse", "unpin", run_id[:8]).out.splitlines()[-1] == "1 result unpinned."


def test_a_result_is_forgotten_after_a_look_and_a_pinned_one_stays(refrain: Refrain, project: Path) -> None:
    run_id = refrain("run", "pipeline.py", "--json").document["run_id"]
    refrain("reuse", "pin", f"{run_id}.prepare")
    called = refrain("reuse", "forget", run_id, "--dry-run")
    assert called.out.splitlines()[-2:] == ["1 result to be forgotten.", "1 more are pinned and stay."]
    document = refrain("reuse", "forget", "--pipeline", "retrain", "--json").document
    assert ([r["step"] for r in document["results"]], document["spared"]) == (["train"], [f"{run_id}.prepare.1"])
    steps = refrain("explain", "pipeline.py", "--json").document["steps"]
    assert [step["verdict"] for step in steps] == ["reused", "forgotten"]


def test_what_is_meant_has_to_be_said(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py")
    called = refrain("reuse", "forget")
    assert (called.code, "Say which results" in called.err) == (2, True)
    called = refrain("reuse", "forget", "--older-than", "soon")
    assert called.code == 2
    assert "'soon' is no length of time; write a number and a unit, such as 90m, 12h or 30d." in called.err
    assert refrain("reuse", "forget", "--older-than", "30d").out.rstrip() == "0 results forgotten."


def test_counts_are_shown_as_a_table_and_a_document(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py")
    refrain("run", "pipeline.py")
    called = refrain("reuse", "stats")
    assert called.out.splitlines()[1].split()[:4] == ["retrain", "prepare", "1", "1"]
    assert called.out.splitlines()[1].endswith("first run 1")
    assert called.out.splitlines()[-1].startswith("2 of 4 step runs were reused, ")
    document = refrain("reuse", "stats", "--step", "train", "--json").document
    assert [(s["key"], s["hits"], s["misses"]) for s in document["steps"]] == [("train", 1, {"first run": 1})]
    assert refrain("reuse").out == called.out


def test_why_a_step_ran_is_what_explain_says_of_the_run(refrain: Refrain, project: Path) -> None:
    run_id = refrain("run", "pipeline.py", "--json").document["run_id"]
    assert refrain("reuse", "why", f"{run_id[:8]}.train").out == refrain("explain", run_id[:8], "train").out
