"""StepThreads: the threads in which the steps of a run do their work, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from refrain.execution.request import StepResult
from refrain.steps.definition import StepDefinition

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_SIGNAL_SECONDS = 1.0


class StepThreads:
    """Starts steps and says which has ended; used by one thread. There are no threads before the first step."""

    def __init__(self, most: int) -> None:
        """Prepare for up to *most* steps at once."""
        self._most = most
        self._pool: ThreadPoolExecutor | None = None
        self._ended: SimpleQueue[tuple[StepDefinition, Future[StepResult]]] = SimpleQueue()
        self.running = 0
        """How many steps have been started and not been returned."""

    @property
    def are_busy(self) -> bool:
        """Say whether another step would have to wait."""
        return self.running >= self._most

    def start(self, step: StepDefinition, act: Callable[[], StepResult]) -> None:
        """Let a step do its work."""
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(self._most, "step")
        future = self._pool.submit(act)
        future.add_done_callback(lambda done: self._ended.put((step, done)))
        self.running += 1

    def next(self, meanwhile: Callable[[], None]) -> tuple[StepDefinition, Future[StepResult]]:
        """Wait for a step to end.

        :param meanwhile: called every second until one has.
        """
        while True:
            try:
                ended = self._ended.get(timeout=_SIGNAL_SECONDS)
            except Empty:  # a signal that reached another thread is handled as soon as this one wakes up
                meanwhile()
            else:
                self.running -= 1
                return ended

    def close(self) -> Iterator[tuple[StepDefinition, Future[StepResult]]]:
        """Wait for the steps that still run, and yield those that :meth:`next` has not returned."""
        if self._pool is not None:
            self._pool.shutdown()
        while not self._ended.empty():
            yield self._ended.get()
