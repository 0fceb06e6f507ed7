"""How often the bytes of an earlier output are read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from refrain.errors import UserError
from refrain.reuse.verification import Verification, damaged_file, set_verification, verification
from refrain.storage.state import WorkspaceState
from refrain.storage.trees import OUTPUT


def test_words_and_shares_are_understood_and_all_else_is_named() -> None:
    assert [Verification.parse(text).share for text in ("stat", "full", "0.25", 0, 1)] == [0.0, 1.0, 0.25, 0.0, 1.0]
    for wrong in ("often", "2", -0.1, "nan", None):
        with pytest.raises(UserError, match="give 'stat', 'full' or a share between 0 and 1"):
            Verification.parse(wrong)  # type: ignore[arg-type]


def test_the_workspace_keeps_its_setting(tmp_path: Path) -> None:
    registry = WorkspaceState(tmp_path).registry
    assert verification(registry) == Verification(0.01)
    set_verification(registry, "full")
    set_verification(registry, 0.5)
    assert verification(WorkspaceState(tmp_path).registry) == Verification(0.5)


def test_a_share_is_drawn_anew_in_every_run_and_the_same_when_asked_twice() -> None:
    sample = Verification(0.1)
    fingerprints = [f"{number:064x}" for number in range(4000)]
    one, other = ([sample.covers(f, run) for f in fingerprints] for run in ("one", "other"))
    assert one == [sample.covers(f, "one") for f in fingerprints]
    assert one != other
    assert 300 < sum(one) < 500
    assert not any(Verification(0.0).covers(f, "one") for f in fingerprints)
    assert all(Verification(1.0).covers(f, "one") for f in fingerprints)


def test_a_sample_leaves_out_what_is_large_and_full_does_not(tmp_path: Path) -> None:
    place = WorkspaceState(tmp_path).stores.local(tmp_path)
    assert Verification(0.5).allows(place, 2**28)
    assert not Verification(0.5).allows(place, 2**28 + 1)
    assert Verification(1.0).allows(place, 2**40)


def test_the_first_file_with_other_bytes_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "output"
    (folder / "empty").mkdir(parents=True)
    (folder / "a").write_text("one")
    (folder / "b").write_text("two")
    place = WorkspaceState(tmp_path / "workspace").stores.local(folder)
    manifest = place.manifest(OUTPUT)
    assert damaged_file(place, manifest) is None
    (folder / "b").write_text("owt")
    assert damaged_file(place, manifest) == "b"
    (folder / "b").write_text("three")
    assert damaged_file(place, manifest) == "b"
