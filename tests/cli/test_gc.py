"""``refrain gc``: says what could go, removes it on request, and remembers the limits."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fakes.project import WRITES, Project
from refrain import PipelineData
from refrain.cli import main
from refrain.execution.sizes import bytes_of
from refrain.reuse.record import RecordStore
from refrain.storage.retention import Retention, retention


@pytest.fixture
def old(tmp_path: Path) -> Project:
    """A project with two runs, both forty days old."""
    project = Project(tmp_path)
    for text in ("one", "two"):
        project.run(project.step("made", WRITES, [PipelineData("out"), text]))
        for path in project.state.root.rglob("*"):
            moment = path.lstat().st_mtime - 40 * 24 * 3600
            os.utime(path, (moment, moment), follow_symlinks=False)
    return project


def _gc(project: Project, *words: str) -> int:
    return main(["gc", "--workspace", project.workspace.root, *words])


def test_without_delete_nothing_is_changed_and_the_way_to_change_it_is_said(
    old: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _gc(old, "--days", "60") == 0
    said = capsys.readouterr().out
    assert "step run " in said
    assert "older than 60 days" in said
    assert "can go. Nothing was removed; --delete does it." in said
    assert (
        "1 step runs would be reused no more; the first 'refrain gc --delete' that comes 7 days later removes" in said
    )
    assert len(old.reuse_records()) == 2


def test_with_delete_results_are_taken_out_of_use_first(old: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert _gc(old, "--runs", "1", "--delete", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    (step,) = (waste for waste in document["waste"] if waste["kind"] == "step run")
    assert (document["deleted"], step["is_due"], step["reason"]) == (True, False, "not among the latest 1 of project")
    assert document["waiting_bytes"] == step["bytes"] > 0
    assert sum(record.dead is not None for record in RecordStore(old.state.objects).all()) == 1
    assert _gc(old, "--runs", "1", "--delete", "--grace", "0") == 0
    assert len(old.reuse_records()) == 1
    assert "Removed " in capsys.readouterr().out
    assert len(old.state.objects.names("runs")) == 1


def test_without_a_limit_every_run_stays_and_the_limits_are_named(
    old: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _gc(old, "--delete") == 0
    assert "Every run stays, because no limit is set: give --days, --runs or --bytes" in capsys.readouterr().out
    assert len(old.state.objects.names("runs")) == 2
    assert _gc(old) == 0
    assert "There is nothing to remove." in capsys.readouterr().out


def test_limits_can_be_saved(old: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert _gc(old, "--days", "60", "--bytes", "1.5GB", "--save") == 0
    assert retention(old.state.registry) == Retention(days=60, bytes=1_610_612_736)
    capsys.readouterr()
    assert _gc(old, "--json") == 0
    assert json.loads(capsys.readouterr().out)["retention"]["days"] == 60


@pytest.mark.parametrize(
    ("text", "count"), [("0", 0), ("12", 12), ("5 kb", 5120), ("1.5MiB", 1_572_864), ("2T", 2 * 2**40)]
)
def test_sizes_are_written_as_people_do(text: str, count: int) -> None:
    assert bytes_of(text, "--bytes") == count


def test_what_is_no_size_is_named(old: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert _gc(old, "--bytes", "much") == 2
    assert "--bytes 'much' is no size; write a number of bytes, or one such as 5G." in capsys.readouterr().err


def test_a_wrong_limit_is_named(old: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert _gc(old, "--runs", "0") == 2
    assert "runs must be 1 or more, not 0" in capsys.readouterr().err
