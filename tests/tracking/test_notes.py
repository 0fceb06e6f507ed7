"""Notes: what is written of reused steps, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from refrain.errors import WorkspaceError
from refrain.storage.state import WorkspaceState
from refrain.tracking.notes import Notes
from refrain.tracking.record import RunRecord, RunStatus, RunStore


@pytest.fixture
def runs(tmp_path: Path) -> RunStore:
    return RunStore(WorkspaceState(tmp_path))


def _record(key: str) -> RunRecord:
    return RunRecord(f"root.{key}.1", key, "p", "e", status=RunStatus.COMPLETED, key=key, created=1.0)


def test_each_record_is_written_at_once_unless_it_may_be_held(runs: RunStore) -> None:
    notes = Notes(runs, "root", are_held=False)
    notes.add(_record("a"))
    assert [record.key for record in runs.steps("root")] == ["a"]


def test_held_records_are_written_together(runs: RunStore, tmp_path: Path) -> None:
    notes = Notes(runs, "root", are_held=True)
    for key in ("a", "b", "c"):
        notes.add(_record(key))
    assert runs.steps("root") == []
    notes.flush()
    notes.flush()
    assert [record.key for record in runs.steps("root")] == ["a", "b", "c"]
    assert len(list(tmp_path.glob("runs/*/reused/*"))) == 1


def test_nothing_is_held_for_long(runs: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    notes = Notes(runs, "root", are_held=True)
    notes.add(_record("a"))
    now[0] = 1.5
    notes.add(_record("b"))
    assert [record.key for record in runs.steps("root")] == ["a", "b"]


def test_what_could_not_be_written_is_held_still(runs: RunStore, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way")
    notes = Notes(runs, "root", are_held=True)
    notes.add(_record("a"))
    with pytest.raises(WorkspaceError, match="Cannot write"):
        notes.flush()
    (tmp_path / "runs").unlink()
    notes.flush()
    assert [record.key for record in runs.steps("root")] == ["a"]


def test_attempts_go_on_from_those_that_are_recorded(runs: RunStore) -> None:
    runs.note([_record("noted")])
    runs.new_step_run("root", "ran", 4)
    notes = Notes(runs, "root", are_held=True)
    assert [notes.new_run_id(key, 1).attempt for key in ("noted", "noted", "ran", "new")] == [2, 3, 5, 1]
    assert notes.new_run_id("late", 7).attempt == 7
