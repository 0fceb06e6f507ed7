"""Bytes that a disk or a network changed or lost: each is found, and makes a miss or a clear error."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos import lives
from chaos.lives import GOLDEN, Home
from chaos.plan import Plan
from refrain.errors import CorruptObjectError
from refrain.reuse.decision import Decision, Verdict
from refrain.reuse.verification import Verification
from refrain.storage.manifest import Manifest
from refrain.tracking.record import RunStore

KEY = "a key of sixteen characters or more"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = Home(tmp_path)
    monkeypatch.setenv("REFRAIN_CACHE", home.environment["REFRAIN_CACHE"])
    return home


def damaged(sound: bytes, plan: Plan) -> Iterator[bytes]:
    """Yield contents in which one bit is another, of each byte in turn, and all cuts; some, in the short form."""
    generator = random.Random(plan.seed)
    bits = range(8) if plan.is_long else [generator.randrange(8)]
    places = plan.spread(range(len(sound)), 60)
    yield from (sound[:at] + bytes([sound[at] ^ 1 << bit]) + sound[at + 1 :] for at in places for bit in bits)
    yield from (sound[:length] for length in places)


@pytest.mark.parametrize("key", ["", KEY], ids=["without a key", "with a key"])
def test_a_record_with_any_damage_is_a_miss(
    home: Home, plan: Plan, figure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    if key:
        monkeypatch.setenv("REFRAIN_RECORD_KEY", key)
    project = home.project()
    project.run(*lives.steps(project))
    runner, _ = project.runner(*lives.steps(project))
    count = 0
    for path in project.reuse_records():
        sound = path.read_bytes()
        for content in damaged(sound, plan):
            path.write_bytes(content)
            decisions = [found for found in runner.explain().values() if isinstance(found, Decision)]
            assert [d.verdict for d in decisions].count(Verdict.RECORD_CORRUPT) == 1, (path, content)
            count += 1
        path.write_bytes(sound)
    assert project.run(*lives.steps(project)).reused() == sorted(GOLDEN)
    figure(f"reuse records {'with' if key else 'without'} a key: {count} flips and cuts, all of them misses")


def test_a_record_with_damage_is_made_anew(home: Home) -> None:
    project = home.project()
    project.run(*lives.steps(project))
    for path in project.reuse_records():
        path.write_bytes(path.read_bytes()[:-1])
    again = project.run(*lives.steps(project))
    assert {again.verdict(key) for key in GOLDEN} == {Verdict.RECORD_CORRUPT}
    assert project.run(*lives.steps(project)).reused() == sorted(GOLDEN)


def test_a_run_record_with_any_damage_is_refused(home: Home, plan: Plan, figure: Callable[[str], None]) -> None:
    project = home.project()
    ran = project.run(*lives.steps(project))
    runs = RunStore(project.state)
    count = 0
    for run_id in (ran.id, *(result.run_id for result in ran.outcome.results.values())):
        path = Path(runs.folder(run_id), "run.json")
        sound = path.read_bytes()
        for content in damaged(sound, plan):
            path.write_bytes(content)
            with pytest.raises(CorruptObjectError, match=f"The record of run {run_id} is damaged"):
                runs.get(run_id)
            count += 1
        path.write_bytes(sound)
    figure(f"run records: {count} flips and cuts, all of them refused")


def test_a_manifest_with_any_damage_verifies_nothing_and_is_stored_anew(
    home: Home, plan: Plan, figure: Callable[[str], None]
) -> None:
    project = home.project()
    ran = project.run(*lives.steps(project))
    full = Verification(1.0)
    runner, _ = project.runner(*lives.steps(project), verification=full)
    digest = ran.result("made").outputs["parts"].digest
    path = project.state.root / "manifests" / digest[:2] / digest
    sound = path.read_bytes()
    count = 0
    for content in damaged(sound, plan):
        path.write_bytes(content)
        with pytest.raises(CorruptObjectError, match=f"Manifest {digest} is corrupt"):
            Manifest.from_content(content, digest)
        decision = runner.explain()["made"]
        assert isinstance(decision, Decision)
        assert decision.verdict is Verdict.OUTPUT_UNREADABLE
        count += 1
    assert project.run(*lives.steps(project), verification=full).verdict("made") is Verdict.OUTPUT_UNREADABLE
    assert path.read_bytes() == sound
    assert project.run(*lives.steps(project), verification=full).reused() == sorted(GOLDEN)
    figure(f"manifests: {count} flips and cuts, all of them refused")
