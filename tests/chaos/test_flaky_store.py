"""A workspace on a store that fails: no wrong hit, no lost commit, and errors that say what could not be done."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from chaos import lives
from chaos.plan import Plan
from fakes.project import Project, Ran
from fakes.remote_stores import FlakyFileSystem
from refrain.errors import RefrainError
from refrain.reuse.record import RecordStore
from refrain.storage import retry
from refrain.storage.state import WorkspaceState


@pytest.fixture(autouse=True)
def _flaky(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    fsspec.register_implementation("flaky", FlakyFileSystem, clobber=True)
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("REFRAIN_LEASE_SECONDS", "0.5")  # of leases that could not be given back
    monkeypatch.setattr(retry, "_FIRST_SECONDS", 0.001)
    monkeypatch.setattr(FlakyFileSystem, "share", 0.0)
    monkeypatch.setattr(FlakyFileSystem, "cut_share", 0.0)  # what it has told to have kept, it has
    monkeypatch.setattr(FlakyFileSystem, "stale_share", 0.0)
    yield
    FlakyFileSystem.versions.clear()
    FlakyFileSystem.earlier[:] = []


def test_runs_on_a_store_that_fails_are_right_or_say_why_not(
    tmp_path: Path, plan: Plan, figure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: Counter[str] = Counter()

    def disturbed(seed: int) -> list[str]:
        root = f"flaky://{uuid.uuid4().hex}"
        monkeypatch.setattr(FlakyFileSystem, "generator", random.Random(seed))
        FlakyFileSystem.earlier[:] = [{}]
        wrong = []
        for _ in range(3):
            monkeypatch.setattr(FlakyFileSystem, "share", 0.1)
            monkeypatch.setattr(FlakyFileSystem, "stale_share", 0.1)
            ran = _run(tmp_path / "project", root)
            monkeypatch.setattr(FlakyFileSystem, "share", 0.0)
            monkeypatch.setattr(FlakyFileSystem, "stale_share", 0.0)
            ends["Failed" if isinstance(ran, RefrainError) else ran.status] += 1
            if isinstance(ran, RefrainError):
                continue
            ends["reused"] += len(ran.reused())
            state = WorkspaceState(root)
            bugs = [error for error in ran.outcome.errors.values() if not isinstance(error, RefrainError)]
            wrong += [f"an error that is none of ours: {error!r}" for error in bugs]
            wrong += list(lives.differences_in(ran, state))
            # A stale listing may make an input seem changed; the result is then not kept, and a remark says so.
            lost = ran.outcome.results.keys() - _alive(state) if not ran.heard.notes else ()
            wrong += [f"a commit was lost: {key}" for key in lost]
        project = Project(tmp_path / "project", root)
        committed = _alive(project.state)
        after = project.run(*lives.steps(project))
        wrong += [f"afterwards: {after.outcome.errors}"] if after.outcome.errors else []
        wrong += list(lives.differences_in(after, project.state))
        lost = committed - set(after.reused())
        return wrong + [f"a commit was lost: {key} {after.heard.decisions[key].sentence()}" for key in lost]

    wrong = [f"seed {seed}: {fault}" for seed in plan.seeds(3, 100) for fault in disturbed(seed)]
    assert wrong == [], f"Again: make chaos SEED={plan.seed}"
    assert ends["Completed"] > 0
    figure(f"a store of which a tenth of the calls fails: {sum(ends.values()) - ends['reused']} runs "
           f"({ends['Completed']} completed, {ends['reused']} steps reused); 0 wrong hits, 0 lost commits")  # fmt: skip


def _alive(state: WorkspaceState) -> set[str]:
    return {record.step for record in RecordStore(state.objects).all() if record.dead is None}


def _run(folder: Path, root: str) -> Ran | RefrainError:
    try:
        project = Project(folder, root)
        return project.run(*lives.steps(project))
    except RefrainError as error:
        return error


def test_the_store_really_fails() -> None:
    """So that the figures mean something."""
    FlakyFileSystem.share = 0.5
    FlakyFileSystem.generator = random.Random(7)
    fs = FlakyFileSystem()
    failures = 0
    for number in range(50):
        try:
            fs.pipe_file(f"flaky://fails/{number}", b"data")
        except OSError:
            failures += 1
    assert failures > 10
