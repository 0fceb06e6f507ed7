"""Logs: where everybody writes, in the layout that Azure ML's users know.

::

    logs/
        job_progress_overview.<time>.txt             how far the work was, every few seconds
        job_result.txt                               how it ended
        job_error.txt                                why it failed
        sys/master_role.txt                          what the dispatcher did
        sys/node/<node>/process003.txt               each mini-batch that a process has run
        sys/error/<node>/process003.txt              how a process ended that should not have
        perf/<node>/process003.profile               where the time of run() goes, with --profiling_module cProfile
        user/error.txt                               what entry scripts raised, in short
        user/error/<node>/process003.txt             and in full
        user/stdout/<node>/process003.stdout.txt
        user/stderr/<node>/process003.stderr.txt
        user/entry_script_log/<node>/process003.log.txt
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

_TAIL_LINES = 50
_TAIL_BYTES = 64 * 1024
_LARGEST = 64 << 20
_CUT = b"(more than 64 MiB were written here; what came before this line was left out)\n"


def say_anything() -> None:
    """Let this process print what is no Unicode, too: names of files, and texts of errors, can be anything."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


class Logs:
    """The folder of the logs, in the working directory, from where it is kept with the run."""

    def __init__(self, folder: str = "logs") -> None:
        self.folder = os.path.abspath(folder)
        os.makedirs(os.path.join(self.folder, "sys"), exist_ok=True)
        self._overview = f"job_progress_overview.{time.strftime('%Y%m%d%H%M%S')}.txt"

    def path(self, *parts: str) -> str:
        """Return the path of a file, whose folder is made."""
        path = os.path.join(self.folder, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def say(self, text: str) -> None:
        """Print a line: it is in the step's own log, and in the dispatcher's."""
        print(text, flush=True)  # noqa: T201  # the step's log is what its process prints
        self.note(text)

    def note(self, text: str) -> None:
        """Write a line to the dispatcher's log."""
        self._add(f"{time.strftime('%H:%M:%S')} {text}\n", "sys", "master_role.txt")

    def overview(self, text: str) -> None:
        """Note how far the work is."""
        self._add(f"{time.strftime('%H:%M:%S')} {text}\n", self._overview)

    def raised(self, node: str, name: str, text: str, trace: str) -> None:
        """Note what an entry script raised."""
        self._add(f"{time.strftime('%H:%M:%S')} {name}: {text}\n", "user", "error.txt")
        self._add(f"{text}\n{trace}\n\n", "user", "error", node, f"{name}.txt")

    def died(self, node: str, name: str, text: str) -> None:
        """Note how a process ended."""
        self._add(f"{time.strftime('%H:%M:%S')} {text}\n", "sys", "error", node, f"{name}.txt")

    def ended(self, name: str, text: str) -> None:
        """Write one of the files that say how everything ended."""
        self._add(f"{text}\n", name)

    def streams(self, node: str, name: str) -> tuple[IO[bytes], IO[bytes]]:
        """Open the files for a process's standard output and error."""
        first, second = self._streams(node, name)
        return open(first, "ab", buffering=0), open(second, "ab", buffering=0)

    def bound(self, node: str, name: str) -> None:
        """Empty the output of a process that has filled it beyond what anybody reads."""
        for path in self._streams(node, name):
            if os.path.exists(path) and os.stat(path).st_size > _LARGEST:  # on another machine it may be made just now
                os.truncate(path, 0)
                with open(path, "ab", buffering=0) as file:
                    file.write(_CUT)

    def tail(self, node: str, name: str) -> list[str]:
        """Return the last 50 lines of a process's standard output, and of its standard error, each under a heading."""
        lines: list[str] = []
        for stream, path in zip(("standard output", "standard error"), self._streams(node, name)):
            last = _last_lines(path)
            lines += [f"The end of {name}'s {stream}:", *(f"    {line}" for line in last)] if last else []
        return lines

    def _streams(self, node: str, name: str) -> tuple[str, str]:
        return (
            self.path("user", "stdout", node, f"{name}.stdout.txt"),
            self.path("user", "stderr", node, f"{name}.stderr.txt"),
        )

    def _add(self, text: str, *parts: str) -> None:
        """Append to a file; a disk that is full must not end the work, whose own records say so."""
        try:
            with open(self.path(*parts), "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            return


def _last_lines(path: str) -> list[str]:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.stat(path).st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return list(deque(text.splitlines(), maxlen=_TAIL_LINES))
