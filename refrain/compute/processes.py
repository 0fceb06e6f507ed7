"""Processes: finding and ending everything that belongs to a step run, by a mark in its environment."""

from __future__ import annotations

import contextlib
import os
import signal
import time

MARK = "AZUREML_RUN_ID"
_PROC = "/proc"
_PAUSE = 0.005
_END_SECONDS = 2.0  # a killed process stays until the scheduler lets it end
_LOOKS_AT_STARTING = 3  # some programs wipe their environment; they are not waited for


def kill_group(group: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process group; nothing happens when it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def marked(run_id: str) -> list[int]:
    """Return the processes whose environment names *run_id*; empty where there is no ``/proc``."""
    return _look(run_id)[0]


def kill_marked(run_id: str) -> int:
    """Kill every process of a step run, those that made a session of their own included; return how many."""
    killed: set[int] = set()
    deadline = time.monotonic() + _END_SECONDS
    looks_at_starting = 0
    while time.monotonic() < deadline:  # one that forks while it is being killed is met again in the next round
        processes, is_one_starting = _look(run_id)
        looks_at_starting += is_one_starting
        if not processes and (not is_one_starting or looks_at_starting > _LOOKS_AT_STARTING):
            break
        for process in processes:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
                killed.add(process)
        time.sleep(_PAUSE)
    return len(killed)


def _look(run_id: str) -> tuple[list[int], bool]:
    """Return the processes of a step run, and whether some process is in the middle of exec, when it shows no mark."""
    mark = f"{MARK}={run_id}".encode()
    found, is_one_starting = [], False
    for name in os.listdir(_PROC) if os.path.isdir(_PROC) else ():
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError), open(f"{_PROC}/{name}/environ", "rb") as file:
            environment = file.read()
            if mark in environment.split(b"\0"):
                found.append(int(name))
            # A kernel thread or a zombie has no environment either, but no program.
            is_one_starting |= not environment and bool(os.readlink(f"{_PROC}/{name}/exe"))
    return found, is_one_starting


def machine() -> str:
    """Return what process ids count in: a host, and on it a name space, which each container has for itself."""
    try:
        space = os.readlink(f"{_PROC}/self/ns/pid")
    except OSError:
        space = ""
    return f"{os.uname().nodename} {space}"


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
