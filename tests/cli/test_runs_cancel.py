from __future__ import annotations

from pathlib import Path

from cli.sample import Refrain, Sleeper, Start


def test_a_run_is_stopped_with_its_processes(refrain: Refrain, start: Start, sleeper: Sleeper) -> None:
    run_id = refrain("run", "sleeper.py", "--detach").out.strip()
    sleeper.wait_until_asleep()
    called = refrain("runs", "cancel", run_id[:8], "--json")
    assert called.document == {"schema": 1, "run_id": run_id, "status": "Canceled", "canceled": True}
    sleeper.assert_all_gone()


def test_a_run_that_has_ended_stays_as_it_is(refrain: Refrain, project: Path) -> None:
    run_id = refrain("run", "pipeline.py", "--json").document["run_id"]
    called = refrain("runs", "cancel", run_id)
    assert (called.code, called.out) == (0, f"Run {run_id} has already ended: Completed.\n")


def test_a_step_alone_cannot_be_stopped(refrain: Refrain, project: Path) -> None:
    run_id = refrain("run", "pipeline.py", "--json").document["run_id"]
    called = refrain("runs", "cancel", f"{run_id}.train")
    assert called.code == 2
    assert "A run is canceled as a whole" in called.err
