"""Very many files, read by several processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import refrain
from fakes.waiting import eventually
from refrain.errors import DataError
from refrain.storage import readers
from refrain.storage.digest import digest_bytes
from refrain.storage.readers import digest_each
from refrain.storage.scan import row_of
from refrain.storage.small_files import File, digest_files

NAMES = [f"{number:03}" for number in range(200)] + ["a\nb", os.fsdecode(b"\xff"), "é", " "]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_BATCH", 8)
    monkeypatch.setattr(readers, "_ALONE", 16)
    monkeypatch.setattr(readers, "_cores", lambda: 3)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that were started."""
    processes: list[subprocess.Popen[bytes]] = []

    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[call-overload]
            processes.append(self)

    monkeypatch.setattr("subprocess.Popen", Popen)
    return processes


@pytest.fixture
def files(tmp_path: Path) -> list[File]:
    found = []
    for name in NAMES:
        path = tmp_path / name
        path.write_text(f"content of {name!r}")
        found.append((str(path), row_of(path.stat())))
    return found


def digests(files: list[File]) -> list[str]:
    return [digest for _, digest in digest_each(iter(files))]


def expected() -> list[str]:
    return [digest_bytes(f"content of {name!r}".encode()) for name in NAMES]


def test_they_give_what_one_would_give_in_the_same_order(
    files: list[File], started: list[subprocess.Popen[bytes]]
) -> None:
    assert list(digest_each(iter(files))) == digest_files(files)
    assert digests(files) == expected()
    assert [process.returncode for process in started] == [-signal.SIGKILL] * 4


def test_few_files_start_no_process(files: list[File], started: list[subprocess.Popen[bytes]]) -> None:
    assert digests(files[:16]) == expected()[:16]
    assert started == []


@pytest.mark.parametrize("count", [17, 24, 25, 32, 33, 41, 48])
def test_no_file_is_left_out_wherever_the_last_share_ends(files: list[File], count: int) -> None:
    assert digests(files[:count]) == expected()[:count]


@pytest.mark.parametrize(
    "program",
    [
        "raise SystemExit",
        "import os; os.kill(os.getpid(), 9)",
        "import sys; sys.stdin.buffer.read(8); sys.stdout.buffer.write(b'1'); sys.stdout.buffer.flush()",
        "import sys; sys.stdin.buffer.read(8); sys.stdout.buffer.write(b'\\1short'); sys.stdout.buffer.flush()",
    ],
)
def test_what_a_process_does_not_answer_is_read_by_who_asked(
    files: list[File], monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(readers, "_PROGRAM", program)
    assert digests(files) == expected()


@pytest.mark.parametrize("executable", ["", shutil.which("false")])
def test_without_a_python_to_run_all_is_read_by_who_asked(
    files: list[File], monkeypatch: pytest.MonkeyPatch, executable: str
) -> None:
    monkeypatch.setattr("sys.executable", executable)
    assert digests(files) == expected()


def test_a_file_that_cannot_be_read_is_named_and_nothing_goes_on_running(
    files: list[File], started: list[subprocess.Popen[bytes]]
) -> None:
    os.unlink(files[150][0])
    with pytest.raises(DataError, match=rf"Cannot read '{files[150][0]}': No such file or directory\."):
        digests(files)
    assert [process.poll() for process in started] == [-signal.SIGKILL] * 2


def test_a_file_that_has_changed_since_it_was_looked_at_has_the_row_of_what_was_read(files: list[File]) -> None:
    path, row = files[150]
    Path(path).write_text("other")
    (found,) = [read for read in digest_each(iter(files)) if read[1] == digest_bytes(b"other")]
    assert found[0] == row_of(os.stat(path)) != row


def test_who_reads_meanwhile_does_so_alone(files: list[File], started: list[subprocess.Popen[bytes]]) -> None:
    first = digest_each(iter(files))
    for _ in range(17):
        next(first)
    found: list[str] = []
    other = threading.Thread(target=lambda: found.extend(digests(files)))
    other.start()
    other.join()
    assert found == expected()
    assert len(started) == 2
    first.close()
    assert len(digests(files)) == len(files)
    assert len(started) == 4


ASKER = """
import sys, time
from refrain.storage import readers
readers._BATCH, readers._ALONE, readers._cores = 8, 8, lambda: 2
from refrain.storage.scan import row_of
import os
def files():
    for _ in range(16):
        yield __file__, row_of(os.stat(__file__))
    print(*[name for name in os.listdir("/proc") if name.isdigit() and parent(name) == os.getpid()], flush=True)
    time.sleep(60)
def parent(name):
    try:
        return int(open(f"/proc/{name}/stat").read().rpartition(")")[2].split()[1])
    except OSError:
        return 0
list(readers.digest_each(files()))
"""


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    script = tmp_path / "asker.py"
    script.write_text(ASKER)
    environment = {**os.environ, "PYTHONPATH": str(Path(refrain.__file__).parents[1])}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment) as process:
        yield process
        process.kill()


def test_a_process_whose_asker_is_killed_ends(asker: subprocess.Popen[str]) -> None:
    assert asker.stdout is not None
    (reader,) = asker.stdout.readline().split()
    assert Path("/proc", reader).exists()
    asker.kill()
    assert eventually(lambda: not Path("/proc", reader).exists())
