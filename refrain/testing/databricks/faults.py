"""Faults: how the server is told to fail, and when."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Fault:
    """What goes wrong with the next requests of one kind.

    :param path: a part of the path of the requests, such as ``runs/submit``.
    :param status: the answer's; None loses the answer: the connection is closed after the work has been done.
    :param times: how many requests it befalls.
    :param act: called with each of them, before anything is answered.
    """

    path: str
    status: int | None
    code: str = ""
    message: str = ""
    times: int = 1
    act: Callable[[], None] | None = None


class Faults:
    """The faults that are to come; safe to use from many threads."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()

    def limit_rate(self, path: str, times: int = 1) -> None:
        """Answer 429 to the next requests."""
        self.add(Fault(path, 429, "REQUEST_LIMIT_EXCEEDED", "Too many requests; try again later.", times))

    def fail(self, path: str, times: int = 1) -> None:
        """Answer 503 to the next requests, which are not carried out."""
        self.add(Fault(path, 503, "TEMPORARILY_UNAVAILABLE", "The service is temporarily unavailable.", times))

    def lose_answer(self, path: str, times: int = 1) -> None:
        """Carry out the next requests, and close the connection instead of answering."""
        self.add(Fault(path, None, times=times))

    def add(self, fault: Fault) -> None:
        """Let something else go wrong."""
        with self._lock:
            self._waiting.append(fault)

    def take(self, path: str) -> Fault | None:
        """Return what befalls a request that has come now."""
        with self._lock:
            found = next((fault for fault in self._waiting if fault.path in path), None)
            if found is not None:
                found.times -= 1
                if found.times <= 0:
                    self._waiting.remove(found)
        if found is not None and found.act is not None:
            found.act()
        return found
