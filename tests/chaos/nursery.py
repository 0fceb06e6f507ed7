"""A nursery of processes: each begins with everything loaded, so that thousands can be killed in an hour."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

_TESTS = str(Path(__file__).parents[1])
_LONGEST_SECONDS = 300
_lock = threading.Lock()  # each of them looks after all others that have ended, and would take their exit codes away


class Child:
    """A process that does one thing and answers."""

    def __init__(self, work: Callable[..., Any], *arguments: Any, environment: Mapping[str, str] | None = None) -> None:
        """Start it.

        :param environment: what it gets beside the environment of all.
        """
        with _lock:
            context = _context()
            self._answers, answer = context.Pipe(duplex=False)
            self.process = context.Process(target=_begin, args=(answer, dict(environment or {}), work, arguments))
            self.process.start()
        answer.close()

    def kill(self) -> None:
        """End it at once, unless it has ended."""
        with _lock:
            if self.process.is_alive():
                os.kill(self.process.pid, signal.SIGKILL)

    def end(self) -> tuple[int, Any]:
        """Wait for its end and return its exit code and its answer, None where it was killed before that."""
        answer = None
        with self._answers, contextlib.suppress(EOFError):
            assert self._answers.poll(_LONGEST_SECONDS), "a process neither answered nor ended"
            answer = self._answers.recv()
        assert wait([self.process.sentinel], _LONGEST_SECONDS), "a process did not come to an end"
        with _lock:
            self.process.join()
            return self.process.exitcode, answer


def answer_of(work: Callable[..., Any], *arguments: Any, environment: Mapping[str, str] | None = None) -> Any:
    """Return what *work* returns in a process of its own."""
    code, answer = Child(work, *arguments, environment=environment).end()
    assert code == 0, f"{work.__name__}{arguments} ended with {code}"
    return answer


def _begin(answer: Connection, environment: dict[str, str], work: Callable[..., Any], arguments: Any) -> None:
    os.environ.update(environment)
    answer.send(work(*arguments))


@functools.cache
def _context() -> Any:
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["chaos.lives"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = _TESTS  # which is what it finds the modules by that it loads ahead
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before
    return context
