"""Processes are told apart, found by their parents and their mark, and ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from refrain_operators import processes

WAITS = "import signal, sys, time; signal.signal(signal.SIGTERM, {}); print('ready', flush=True); time.sleep(600)"


@pytest.fixture
def family(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a child in a session of its own; both carry the mark."""
    script = (
        "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], "
        "start_new_session=True); print('ready', flush=True); time.sleep(600)"
    )
    environment = os.environ | {"MARK_OF_THIS_TEST": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout
        parent.stdout.readline()
        found = processes.descendants([parent.pid])
        yield parent
        processes.end(found, grace=0.0)


def test_a_child_in_another_session_is_found_and_ended(family: subprocess.Popen[bytes]) -> None:
    found = processes.descendants([family.pid])
    assert len(found) == 2
    assert processes.end(found, grace=5.0) == set()
    assert processes.alive(found) == set()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the mark is read from /proc")
def test_an_orphan_is_found_by_its_mark(family: subprocess.Popen[bytes], tmp_path: Path) -> None:
    family.kill()
    family.wait()
    (orphan,) = processes.marked("MARK_OF_THIS_TEST", str(tmp_path))
    assert orphan.pid != family.pid
    assert processes.end({orphan}, grace=5.0) == set()


def test_a_process_that_ignores_the_request_is_killed() -> None:
    script = WAITS.format("signal.SIG_IGN")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout
        stubborn.stdout.readline()
        assert processes.end(processes.descendants([stubborn.pid]), grace=0.1) == set()
        assert stubborn.wait() == -9


def test_a_later_process_with_the_same_number_is_another_one() -> None:
    me = processes.running()[os.getpid()]
    earlier = processes.Process(me.pid, me.parent, "0", is_zombie=False)
    assert processes.alive({me, earlier}) == {me}


def test_ps_tells_the_same_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    assert processes.running()[os.getpid()].parent == os.getppid()
