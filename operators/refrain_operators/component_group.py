"""The running components of one Airflow as their owner sees them: started, listened to and ended together."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refrain_operators import processes
from refrain_operators.airflow_home import AirflowHome
from refrain_operators.components import API_SERVER, GRACE, JOBS, MIGRATION

_PAUSE = 0.05


@dataclass(frozen=True)
class Exit:
    """A component that ended though nobody asked it to.

    :param code: its exit code, or a signal's number below zero.
    """

    name: str
    code: int


class ComponentGroup:
    """Two processes: one serves the API, the other starts the remaining components from itself (see `components`)."""

    def __init__(self, home: AirflowHome, environment: dict[str, str]) -> None:
        self._home = home
        # A session of its own keeps our terminal's Ctrl-C from the components: ending them is the owner's decision.
        self._options: dict[str, Any] = {"env": environment, "cwd": home.path, "start_new_session": True}
        self._seen: set[processes.Process] = set()
        self._unread = b""
        self.is_migrated = False
        self._api: subprocess.Popen[bytes] | None = None
        self._jobs: subprocess.Popen[bytes] | None = None

    def start(self, *, is_migrating: bool) -> None:
        """Start everything; the API server imports its modules while the database migrates."""
        for name in (MIGRATION, API_SERVER, *JOBS):
            _rotate(self._home.logs / f"{name}.log")
        self._api = self._process(API_SERVER)
        self._jobs = self._process("jobs", *(["--migrate"] if is_migrating else []))
        if self._jobs.stdout:
            os.set_blocking(self._jobs.stdout.fileno(), False)

    def migrate(self) -> Exit | None:
        """Migrate the database and nothing else, for those who do not start."""
        log = self._home.logs / f"{MIGRATION}.log"
        _rotate(log)
        with log.open("ab") as output:
            command = [sys.executable, "-m", "airflow", "db", "migrate"]
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
            code = subprocess.run(command, check=False, **streams, **self._options).returncode
        return Exit(MIGRATION, code) if code else None

    def exits(self) -> list[Exit]:
        """The components that ended since the last call; also passes on that the database is ready."""
        found = [Exit(report["name"], report["code"]) for report in self._reports() if report["event"] == "exited"]
        for name, process in ((API_SERVER, self._api), ("jobs", self._jobs)):
            if not found and process and process.poll() is not None:
                found.append(Exit(name, process.returncode))
        return found

    def end(self, grace: float = GRACE) -> set[processes.Process]:
        """End every component and every task process; returns what could not be ended.

        The API server goes last: tasks that are stopped report to it.

        :param grace: seconds that each part has before it is killed.
        """
        for process in (self._jobs, self._api):
            if process:
                self._look()
                self._hang_up(process, grace)
        left = processes.end(self._seen, grace=0.0)  # all were asked before
        self._api = self._jobs = None
        return left

    def _process(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._home.logs / f"{arguments[0]}.log").open("ab") as log:
            command = [sys.executable, "-m", "refrain_operators.components", *arguments]
            streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}
            return subprocess.Popen(command, bufsize=0, **streams, **self._options)

    def _reports(self) -> Iterator[dict[str, Any]]:
        if not self._jobs or not self._jobs.stdout:
            return
        self._unread += self._jobs.stdout.read() or b""
        *lines, self._unread = self._unread.split(b"\n")
        for report in map(json.loads, lines):
            if report["event"] == "migrated":
                self.is_migrated = True
                self._release_api()
            yield report

    def _release_api(self) -> None:
        if self._api and self._api.stdin:
            with contextlib.suppress(BrokenPipeError):  # ended already: `exits` says so
                self._api.stdin.write(b"\n")

    def _look(self) -> None:
        """Remember all processes while their parents still show who they belong to."""
        self._seen |= processes.descendants(process.pid for process in (self._api, self._jobs) if process)

    def _hang_up(self, process: subprocess.Popen[bytes], grace: float) -> None:
        """Ask a process to end and wait for it; it ends what it started."""
        process.terminate()
        if process.stdin:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        deadline = time.monotonic() + grace + 1.0
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(_PAUSE)
            self._look()
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _rotate(log: Path) -> None:
    """Keep the last start's log beside this one's."""
    with contextlib.suppress(FileNotFoundError):
        log.replace(log.with_name(f"{log.name}.1"))
