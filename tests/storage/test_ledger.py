"""The ledger of a copy: what counts for the next try, and what does not."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from refrain.errors import DataError, WorkspaceError
from refrain.storage import ledger as ledger_module
from refrain.storage.ledger import NO_LEDGER, Ledgers


@pytest.fixture
def ledgers(tmp_path: Path) -> Ledgers:
    return Ledgers(tmp_path / "transfers")


class Killed(Exception):
    """Ends a copy without ceremony."""


def _interrupted(ledgers: Ledgers, source: str = "file:///from") -> Path:
    with contextlib.suppress(Killed), ledgers.open(source, "s3://to") as ledger:
        ledger.note_free()
        ledger.note_begun("large", "tag", "upload-1")
        ledger.note_part("large", 0, "md5-0")
        ledger.note_arrived("small", "tag", "etag", "digest")
        raise Killed
    (path,) = ledgers.folder.rglob("*.jsonl")
    return path


def test_the_next_try_knows_what_has_arrived(ledgers):
    _interrupted(ledgers)
    with ledgers.open("file:///from", "s3://to") as ledger:
        assert ledger.is_free
        assert ledger.names == {"large", "small"}
        assert ledger.arrived("small", "tag") == ("etag", "digest")
        assert ledger.begun("large", "tag") == ("upload-1", {0: "md5-0"})
    assert not list(ledgers.folder.rglob("*.jsonl"))


def test_another_content_counts_no_more_and_its_upload_is_stale(ledgers):
    _interrupted(ledgers)
    with ledgers.open("file:///from", "s3://to") as ledger:
        assert ledger.arrived("small", "another") == (None, None)
        assert ledger.begun("large", "another") == (None, {})
        assert ledger.stale("large", "another") == "upload-1"
        assert ledger.stale("large", "tag") is None


def test_an_upload_that_was_begun_anew_has_no_parts(ledgers):
    _interrupted(ledgers)
    with contextlib.suppress(Killed), ledgers.open("file:///from", "s3://to") as ledger:
        ledger.note_begun("large", "tag", "upload-2")
        raise Killed
    with ledgers.open("file:///from", "s3://to") as ledger:
        assert ledger.begun("large", "tag") == ("upload-2", {})


def test_another_source_or_another_start_of_the_machine_begins_anew(ledgers, tmp_path, monkeypatch):
    _interrupted(ledgers)
    _interrupted(ledgers, "file:///elsewhere")
    (tmp_path / "boot").write_text("another")
    monkeypatch.setattr("refrain.storage.ledger._BOOT", tmp_path / "boot")
    with ledgers.open("file:///elsewhere", "s3://to") as ledger:
        assert ledger.names == frozenset()
        assert not ledger.is_free


@pytest.mark.parametrize(
    "rest", [b'{"file": "half', b"\xff\xfe\n[]\n", b'{"file": "x"}\n{"file": "y", "part": 1, "md5": "z"}\n']
)
def test_a_line_that_was_cut_or_makes_no_sense_is_passed_over(ledgers, rest):
    path = _interrupted(ledgers)
    path.write_bytes(path.read_bytes() + rest)
    with contextlib.suppress(Killed), ledgers.open("file:///from", "s3://to") as ledger:
        assert ledger.names == {"large", "small"}
        ledger.note_arrived("large", "tag", "etag", None)
        raise Killed
    with ledgers.open("file:///from", "s3://to") as ledger:
        assert ledger.arrived("large", "tag") == ("etag", None)


def test_of_two_copies_to_one_place_the_second_is_refused(ledgers):
    with (
        ledgers.open("file:///from", "s3://to"),
        pytest.raises(DataError, match=r"Another copy to s3://to is under way"),
    ):
        ledgers.open("file:///other", "s3://to").__enter__()


def test_a_ledger_that_cannot_be_kept_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkspaceError, match="Cannot keep notes of a copy at"):
        Ledgers(tmp_path / "file").open("file:///from", "s3://to").__enter__()


def test_without_a_ledger_nothing_is_noted():
    NO_LEDGER.note_part("x", 0, "md5")
    assert not NO_LEDGER.is_kept
    assert NO_LEDGER.begun("x", "tag") == (None, {})


def test_whoever_opens_a_ledger_that_goes_holds_the_next_one(ledgers, monkeypatch):
    lock, first = ledger_module._lock, ledgers.open("file:///from", "s3://to")
    first.__enter__()

    def lock_too_late(descriptor: int, target: str) -> None:
        monkeypatch.setattr(ledger_module, "_lock", lock)
        first.__exit__(None, None, None)
        lock(descriptor, target)

    monkeypatch.setattr(ledger_module, "_lock", lock_too_late)
    with ledgers.open("file:///from", "s3://to"), pytest.raises(DataError, match="is under way"):
        ledgers.open("file:///other", "s3://to").__enter__()
