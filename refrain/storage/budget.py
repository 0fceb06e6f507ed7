"""Budget: how many bytes may be in memory at once, given out in the order in which they were asked for.

The order is more than fairness. A store may answer for a part only once it has all earlier ones. If later parts, which
wait for that answer, could hold all the memory that an earlier one waits for, nothing would ever move.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

T = TypeVar("T")


class Budget:
    """Bytes for the whole process."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._line: dict[Turn, None] = {}  # who waits, or is about to; the first is served first
        self._changed = threading.Condition()

    @contextmanager
    def turns(self) -> Iterator[Callable[[], Turn]]:
        """Give a function that returns a new place at the end of the line; at the end none of them is kept."""
        given: list[Turn] = []

        def turn() -> Turn:
            given.append(Turn(self))
            self._line_up(given[-1])
            return given[-1]

        try:
            yield turn
        finally:
            for unused in given:
                unused.leave()

    def _line_up(self, turn: Turn) -> None:
        with self._changed:
            self._line.setdefault(turn)

    def _leave(self, turn: Turn) -> None:
        with self._changed:
            if turn in self._line:  # else nothing has changed for anybody
                del self._line[turn]
                self._changed.notify_all()

    @contextmanager
    def _taken(self, turn: Turn, size: int) -> Iterator[None]:
        size = min(size, self._size)
        self._line_up(turn)
        with self._changed:
            self._changed.wait_for(lambda: next(iter(self._line)) is turn and self._free >= size)
            self._free -= size
            del self._line[turn]
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


class Turn:
    """A place in the line of a budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def taken(self, size: int) -> AbstractContextManager[None]:
        """Wait until it is this turn and so many bytes are free; more than there are means all of them.

        Whoever asks a second time stands at the end of the line.
        """
        return self._budget._taken(self, size)

    def leave(self) -> None:
        """Let those behind go on, if it was not used."""
        self._budget._leave(self)

    def run(self, job: Callable[[Turn], T]) -> T:
        """Call *job*, which may take this turn; afterwards it is over, whatever came of it."""
        try:
            return job(self)
        finally:
            self.leave()
