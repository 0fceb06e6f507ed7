"""StepLog: what a body that is no process says of its work, as the step's output."""

from __future__ import annotations

from pathlib import Path

from refrain.errors import WorkspaceError, why
from refrain.execution.body import Work
from refrain.execution.run_folder import LOG_FILE


class StepLog:
    """The log of one step run."""

    def __init__(self, work: Work) -> None:
        """Name it; nothing is written yet."""
        self._path = Path(work.folder, LOG_FILE)
        self._listener, self._key = work.listener, work.step.key

    def open(self) -> None:
        """Make its folder.

        :raises WorkspaceError: when that cannot be made.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            folder = str(self._path.parent.parent)
            raise WorkspaceError(f"Cannot write to the run folder {folder!r}: {why(error)}") from error

    def say(self, line: str) -> None:
        """Write one line, and tell who listens."""
        with open(self._path, "a", encoding="utf-8") as log:
            log.write(f"{line}\n")
        self._listener.line(self._key, line)
