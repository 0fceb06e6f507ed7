"""Processes: finding and ending everything that belongs to a step run, by a mark in its environment."""

from __future__ import annotations

import contextlib
import os
import signal
import time

MARK = "AZUREML_RUN_ID"
_PROC = "/proc"


def kill_group(group: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process group; nothing happens when it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def marked(run_id: str) -> list[int]:
    """Return the processes whose environment names *run_id*; empty where there is no ``/proc``."""
    mark = f"{MARK}={run_id}".encode()
    found = []
    for name in os.listdir(_PROC) if os.path.isdir(_PROC) else ():
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError), open(f"{_PROC}/{name}/environ", "rb") as file:
            if mark in file.read().split(b"\0"):
                found.append(int(name))
    return found


def kill_marked(run_id: str) -> int:
    """Kill every process of a step run, those that made a session of their own included; return how many."""
    count = 0
    for _ in range(10):  # a process that forks while it is being killed is met again in the next round
        processes = marked(run_id)
        if not processes:
            break
        for process in processes:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
                count += 1
        time.sleep(0.01)
    return count


def is_alive(process: int, started: str) -> bool:
    """Say whether a process is running and is the one that began at *started* (see :func:`start_mark`)."""
    return bool(started) and start_mark(process) == started


def start_mark(process: int) -> str:
    """Return a text that tells a process from a later one with the same number; empty when there is none."""
    try:
        with open(f"{_PROC}/{process}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return _start_mark_without_proc(process)
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()


def _start_mark_without_proc(process: int) -> str:
    if os.path.isdir(_PROC):
        return ""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "unknown"
