from __future__ import annotations

from pathlib import Path

from refrain.runtime.parallel.logs import Logs


def test_output_that_is_not_there_yet_is_not_emptied(tmp_path: Path) -> None:
    Logs(str(tmp_path)).bound("001", "process003")  # its node has only been asked to start it


def test_output_beyond_what_anybody_reads_is_emptied(tmp_path: Path) -> None:
    logs = Logs(str(tmp_path))
    stdout, stderr = logs.streams("000", "process000")
    with stdout, stderr:
        stdout.truncate((64 << 20) + 1)
        logs.bound("000", "process000")
        stdout.write(b"more")
    assert logs.tail("000", "process000") == [
        "The end of process000's standard output:",
        "    (more than 64 MiB were written here; what came before this line was left out)",
        "    more",
    ]
