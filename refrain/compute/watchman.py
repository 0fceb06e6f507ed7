"""Watchman: the engine's end of :mod:`refrain.compute.guard`."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import refrain
from refrain.compute.processes import MARK

if TYPE_CHECKING:
    import subprocess

_GUARD = str(Path(__file__).with_name("guard.py"))  # run, and never imported
_IMPORTS_FROM = str(Path(str(refrain.__file__)).parents[1])
"""The working directory of commands, so that they find this package however this process found it."""


class Watchman:
    """Names process groups that must not outlive this process; its guard starts with the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._guard: subprocess.Popen[bytes] | None = None
        self._groups: dict[int, str] = {}
        self._expected: set[str] = set()
        self._commands: dict[str, str] = {}

    def expect(self, run_id: str) -> None:
        """End what is marked with the run's id if this process dies; said before the run's process is started."""
        with self._lock:
            self._expected.add(run_id)
            self._tell(f"?{run_id}\n")

    def forget(self, run_id: str) -> None:
        """Take back an expectation: the process could not be started."""
        with self._lock:
            self._expected.discard(run_id)
            self._say(f"!{run_id}\n")

    def watch(self, group: int, run_id: str) -> None:
        """End this process group, and what is marked with the run's id, if this process dies."""
        with self._lock:
            self._groups[group] = run_id
            self._expected.discard(run_id)
            self._tell(f"+{group} {run_id}\n")

    def release(self, group: int) -> None:
        """Forget a process group that has ended."""
        with self._lock:
            if self._groups.pop(group, None) is not None:
                self._say(f"-{group}\n")

    def charge(self, name: str, argv: Sequence[str]) -> None:
        """Let a command be run if this process dies, which ends what no signal reaches, such as a container.

        :param name: for :meth:`discharge`.
        """
        with self._lock:
            self._commands[name] = f"*{json.dumps([name, _IMPORTS_FROM, list(argv)])}\n"
            self._tell(self._commands[name])

    def discharge(self, name: str) -> None:
        """Take back a charge: nothing is left to be ended."""
        with self._lock:
            if self._commands.pop(name, None) is not None:
                self._say(f"/{name}\n")

    def close(self) -> None:
        """Let the guard end what is left and go; called when the process exits in an orderly way."""
        with self._lock:
            if self._guard is not None:
                self._guard.communicate()
                self._guard = None

    def _tell(self, line: str) -> None:
        """Say a line to the guard, or everything that is known to a new one."""
        if self._guard is not None and self._guard.poll() is None:
            self._say(line)
            return
        if self._guard is None:
            atexit.register(self.close)
        self._guard = _start_guard()
        known = [f"+{group} {run_id}\n" for group, run_id in self._groups.items()]
        self._say("".join([*known, *(f"?{run_id}\n" for run_id in self._expected), *self._commands.values()]))

    def _say(self, text: str) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it was killed just now; the next job starts another
                os.write(self._guard.stdin.fileno(), text.encode())


_watchmen: dict[int, Watchman] = {}


def watchman() -> Watchman:
    """Return this process's own watchman; a fork does not share that of its parent."""
    return _watchmen.setdefault(os.getpid(), Watchman())


def _start_guard() -> subprocess.Popen[bytes]:
    import subprocess

    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-E", _GUARD],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        # Without a mark of our own, so that whoever ends us by it does not end the guard as well.
        env={name: value for name, value in os.environ.items() if name != MARK},
    )
