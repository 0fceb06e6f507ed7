"""Fixtures of processes: many at one moment, and one without privileges."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def unprivileged() -> Iterator[Callable[[], contextlib.AbstractContextManager[Path]]]:
    """Gives a folder, and a block in which the process may do no more than its owner may."""
    folder = Path(tempfile.mkdtemp(prefix="refrain-unprivileged-"))
    user = NOBODY if os.geteuid() == 0 else os.geteuid()
    os.chown(folder, user, -1)

    @contextlib.contextmanager
    def block() -> Iterator[Path]:
        before = os.geteuid()
        os.seteuid(user)
        try:
            yield folder
        finally:
            os.seteuid(before)

    yield block
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o700)
    shutil.rmtree(folder)


def programs_that_name(text: str, program: str = "uv") -> list[str]:
    """The running programs of this name with *text* among their words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            is_it = words[0].endswith(f"/{program}".encode()) and text.encode() in b" ".join(words)
            found += [path.parent.name] if is_it else []
    return found


def processes_below(folder: Path, word: str = "") -> list[int]:
    """The processes that work in a folder or below it, and have *word* on their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_here = Path(os.readlink(process / "cwd")).is_relative_to(folder)
            found += [int(process.name)] if is_here and word in (process / "cmdline").read_text() else []
    return found


_RACE = """
import os, sys
{code}
ready, go = os.pipe()
read, write = os.pipe()
children = []
for number in range({writers}):
    child = os.fork()
    if child == 0:
        os.close(go)
        os.read(ready, 1)  # until the starter closes its end
        os.write(write, f"{{number}} {{work(number)}}\\n".encode())
        os._exit(0)
    children.append(child)
os.close(go)
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * {writers}
sys.stdout.buffer.write(os.read(read, 1 << 16))
"""


@pytest.fixture
def race(tmp_path: Path) -> Callable[[str, int], list[str]]:
    """Runs ``work(number)``, defined by a text, in many processes at one moment and returns what each answered."""

    def run(code: str, writers: int) -> list[str]:
        script = _RACE.format(code=code, writers=writers)
        done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        answers = dict(line.split(" ", 1) for line in done.stdout.splitlines())
        return [answers[str(number)] for number in range(writers)]

    return run
