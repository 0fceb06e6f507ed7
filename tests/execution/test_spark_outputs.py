"""What a Spark application leaves in an output's folder, and what of it is data."""

from __future__ import annotations

from pathlib import Path

import pytest

from refrain.errors import OutputError
from refrain.execution.spark_outputs import tidy


def _files(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return folder


def _left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_checksums_go_and_data_and_marks_stay(tmp_path: Path) -> None:
    _files(tmp_path, "_SUCCESS", "._SUCCESS.crc", "day=1/part-0", "day=1/.part-0.crc")
    tidy(tmp_path, "out", "count")
    assert _left(tmp_path) == ["_SUCCESS", "day=1/part-0"]


def test_a_users_own_file_of_that_ending_stays(tmp_path: Path) -> None:
    _files(tmp_path, "part-0", ".alone.crc", "table.crc", ".crc")
    tidy(tmp_path, "out", "count")
    assert _left(tmp_path) == [".alone.crc", ".crc", "part-0", "table.crc"]


def test_a_write_that_was_not_finished_is_refused(tmp_path: Path) -> None:
    _files(tmp_path, "part-0", "_temporary/0/task/part-1")
    with pytest.raises(
        OutputError, match=r"Step 'count': its output 'out' holds '.*_temporary', so that a write to it did"
    ):
        tidy(tmp_path, "out", "count")


def test_a_success_without_data_is_refused(tmp_path: Path) -> None:
    _files(tmp_path, "_SUCCESS", "._SUCCESS.crc")
    with pytest.raises(
        OutputError, match=r"Its executors wrote to file systems of their own: .*refrain compute test NAME"
    ):
        tidy(tmp_path, "out", "count")
