"""Processes of this machine: who descends from whom, who carries a mark, and how to end them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PAUSE = 0.05


@dataclass(frozen=True)
class Process:
    """One process, told apart from a later one with the same number by when it started.

    :param started: its start in ticks since boot, or as a date where there is no `/proc`.
    """

    pid: int
    parent: int
    started: str
    is_zombie: bool


def running() -> dict[int, Process]:
    """Every process that this user may see, by number."""
    if not _PROC.joinpath("self", "stat").exists():
        return _listed()
    found = (_read(int(entry.name)) for entry in _PROC.iterdir() if entry.name.isdigit())
    return {process.pid: process for process in found if process}


def _read(pid: int) -> Process | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None  # ended while we looked
    fields = text.rpartition(")")[2].split()  # the name before may itself hold blanks and brackets
    return Process(pid, int(fields[1]), fields[19], fields[0] in "ZX")


def _listed() -> dict[int, Process]:
    """The same from `ps`, for systems without `/proc`."""
    listing = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,stat=,lstart="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split(None, 3) for line in listing.splitlines())
    return {int(pid): Process(int(pid), int(parent), started, "Z" in state) for pid, parent, state, started in rows}


def descendants(pids: Iterable[int]) -> set[Process]:
    """The given processes and all that they started, as far as the chain of parents still shows it."""
    everyone = running()
    children: dict[int, list[int]] = {}
    for process in everyone.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: set[Process] = set()
    waiting = [pid for pid in pids if pid in everyone]
    while waiting:
        process = everyone[waiting.pop()]
        if process not in found:
            found.add(process)
            waiting.extend(children.get(process.pid, []))
    return found


def marked(name: str, value: str) -> set[Process]:
    """The processes whose environment holds the given variable; none where `/proc` is missing."""
    wanted = f"{name}={value}".encode()
    return {
        process
        for process in running().values()
        if process.pid != os.getpid() and not process.is_zombie and wanted in _environment(process.pid)
    }


def _environment(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []  # ended, or another user's


def alive(processes: Iterable[Process]) -> set[Process]:
    """Those of the given processes that still run."""
    now = running()
    return {
        process
        for process in processes
        if (seen := now.get(process.pid)) and seen.started == process.started and not seen.is_zombie
    }


def end(processes: Iterable[Process], grace: float) -> set[Process]:
    """Ask the given processes to end, then kill those that have not; returns any that survived even that.

    :param grace: seconds between the two.
    """
    left = _signal(processes, signal.SIGTERM, grace)
    return _signal(left, signal.SIGKILL, 5.0) if left else left


def _signal(processes: Iterable[Process], number: signal.Signals, patience: float) -> set[Process]:
    left = alive(processes)
    for process in left:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the result says who is left
            os.kill(process.pid, number)
    deadline = time.monotonic() + patience
    while left and time.monotonic() < deadline:
        time.sleep(_PAUSE)
        left = alive(left)
    return left
