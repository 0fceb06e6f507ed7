"""How a process's output reaches the log and the listener."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from refrain.compute.output import OutputStream, mask_file


def _through(chunks: list[bytes], secrets: tuple[str, ...] = ()) -> tuple[bytes, list[str]]:
    log = io.BytesIO()
    lines: list[str] = []
    stream = OutputStream(log, lines.append, secrets)
    for chunk in chunks:
        stream.feed(chunk)
    stream.close()
    return log.getvalue(), lines


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b"a\nb\n"], ["a", "b"]),
        ([b"a", b"b\n", b"c"], ["ab", "c"]),
        ([b"10%\r20%\r", b"done\n"], ["10%", "20%", "done"]),
        ([b"a\r", b"\nb"], ["a", "b"]),
        ([b"\xff\xfe\n"], ["��"]),
        ([b"\n\n"], ["", ""]),
    ],
)
def test_lines_end_where_a_terminal_would_end_them(chunks: list[bytes], lines: list[str]) -> None:
    log, heard = _through(chunks)
    assert heard == lines
    assert log == b"".join(chunks)


@pytest.mark.parametrize("size", [13, 4096, 200_000])
def test_a_secret_is_masked_however_the_output_is_cut(size: int) -> None:
    text = b"x" * 70_000 + b"hunter2-hunter2" + b"y" * 70_000 + b"hunter2-hunter2\n"
    log, lines = _through([text[i : i + size] for i in range(0, len(text), size)], ("hunter2-hunter2",))
    assert b"hunter2" not in log
    assert log.count(b"***") == 2
    assert "".join(lines).count("x") == 70_000


def test_each_line_of_a_secret_of_several_lines_is_masked() -> None:
    log, lines = _through([b"BEGIN\nAAAABBBB\nCCCC\nEND\n"], ("AAAABBBB\nCCCC\n",))
    assert log == b"BEGIN\n***\n***\nEND\n"
    assert lines == ["BEGIN", "***", "***", "END"]


def test_a_long_secret_is_masked_before_a_short_one_that_is_part_of_it() -> None:
    assert _through([b"secretive\n"], ("secret", "secretive"))[0] == b"***\n"


def test_a_line_without_end_does_not_pile_up_in_memory() -> None:
    log, lines = _through([b"z" * 65_536] * 20)
    assert len(log) == 20 * 65_536
    assert max(map(len, lines)) <= 3 * 65_536


def test_a_listener_that_fails_is_dropped_and_the_log_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def closed(line: str) -> None:
        raise ValueError("I/O operation on closed file")

    log = io.BytesIO()
    stream = OutputStream(log, closed)
    stream.feed(b"one\ntwo\n")
    assert log.getvalue() == b"one\ntwo\n"
    assert len(caplog.records) == 1


def test_a_full_disk_does_not_keep_lines_from_the_listener() -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    lines: list[str] = []
    OutputStream(Full(), lines.append).feed(b"still\nheard\n")
    assert lines == ["still", "heard"]


def test_a_file_is_masked_like_an_output_and_one_without_secrets_stays_the_same_file(tmp_path: Path) -> None:
    told, clean = tmp_path / "told.txt", tmp_path / "clean.txt"
    told.write_bytes(b"one: first line\xff\nsecond line, and short\n")
    clean.write_bytes(b"nothing\n")
    before = clean.stat()
    for path in (told, clean):
        mask_file(str(path), ("first line\nsecond line", "short"))
    assert told.read_bytes() == b"one: ***\xff\n***, and ***\n"
    assert (clean.stat().st_ino, clean.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
