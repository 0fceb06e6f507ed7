"""Finding and ending what belongs to a step run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from refrain.compute.processes import is_alive, kill_group, kill_marked, marked, start_mark


def test_processes_are_found_by_their_mark_and_ended(tmp_path: Path) -> None:
    mark = f"mark.{tmp_path.name}.1"
    process = subprocess.Popen(["sleep", "600"], env={"AZUREML_RUN_ID": mark})
    assert marked(mark) == [process.pid]
    assert kill_marked(mark) == 1
    assert process.wait(60) == -9


def test_a_longer_mark_is_another_mark(tmp_path: Path) -> None:
    mark = f"mark.{tmp_path.name}.1"
    process = subprocess.Popen(["sleep", "600"], env={"AZUREML_RUN_ID": mark + "0"})
    assert kill_marked(mark) == 0
    process.kill()
    process.wait()


def test_a_process_is_told_from_a_later_one_with_its_number() -> None:
    own = start_mark(os.getpid())
    assert is_alive(os.getpid(), own)
    assert not is_alive(os.getpid(), "1")
    assert not is_alive(os.getpid(), "")


def test_a_process_that_ended_is_not_alive_even_before_it_is_reaped() -> None:
    process = subprocess.Popen(["true"])
    mark = start_mark(process.pid)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(process.pid, mark)
    process.wait()
    assert start_mark(process.pid) == ""


def test_ending_a_group_that_is_gone_does_nothing() -> None:
    process = subprocess.Popen(["true"], start_new_session=True)
    process.wait()
    kill_group(process.pid)
