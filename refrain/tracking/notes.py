"""Notes: the records of reused steps, held back for a moment so that many are written at once."""

from __future__ import annotations

import threading
import time

from refrain.tracking.record import RunRecord, RunStore
from refrain.tracking.run_id import StepRunId

HELD_SECONDS = 1.0


class Notes:
    """What is still to be written of the steps that one pipeline run reuses. Safe to use from many threads.

    Nothing is lost but the memory of having looked when the process is killed before it has written: the results that
    were reused stand, and no step has been made of them yet, see :meth:`refrain.execution.engine.Engine.flush`.
    """

    def __init__(self, runs: RunStore, root: str, *, are_held: bool) -> None:
        """Write to *runs* about the pipeline run *root*.

        :param are_held: whether a record may wait for others, a second at most; else each is written at once.
        """
        self._runs = runs
        self._root = root
        self._seconds = HELD_SECONDS if are_held else 0.0
        self._lock = threading.Lock()
        self._held: list[RunRecord] = []
        self._written = time.monotonic()
        self._attempts: dict[str, int] | None = None

    def new_run_id(self, key: str, attempt: int) -> StepRunId:
        """Return an id that no step run has; only one process at a time may ask for those of a step.

        :param attempt: the number to try first.
        :raises WorkspaceError: when the run cannot be read.
        """
        with self._lock:
            if self._attempts is None:
                self._attempts = self._runs.latest_attempts(self._root)
            number = max(attempt, self._attempts.get(key, 0) + 1)
            self._attempts[key] = number
        return StepRunId(self._root, key, number)

    def add(self, record: RunRecord) -> None:
        """Take a record to be written.

        :raises WorkspaceError: when those that have waited long enough cannot be written.
        """
        with self._lock:
            self._held.append(record)
        if time.monotonic() - self._written >= self._seconds:
            self.flush()

    def flush(self) -> None:
        """Write what is held back; raises as :meth:`add`, and holds it still then."""
        with self._lock:
            if self._held:
                self._runs.note(self._held)
                self._held = []
            self._written = time.monotonic()
