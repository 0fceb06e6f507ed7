"""Watch: shows a run's progress and its steps' output, from the workspace alone."""

from __future__ import annotations

from typing import TextIO

from refrain.execution.run_folder import LOG_FILE
from refrain.tracking.record import RunRecord, RunStore


class Watch:
    """Prints what is new at each look: status changes, steps that began or ended, lines of their logs.

    :param stream: None prints nothing.
    :param only: the key of the one step to follow.
    """

    def __init__(self, store: RunStore, run_id: str, stream: TextIO | None, only: str | None = None) -> None:
        self._store = store
        self._run_id = run_id
        self._stream = stream
        self._only = only
        self._status = ""
        self._seen: dict[str, str] = {}
        self._offsets: dict[str, int] = {}

    def begin(self) -> None:
        """Print the run's id."""
        self._say(f"PipelineRunId: {self._run_id}")

    def look(self, status: str) -> None:
        """Print what is new."""
        if status != self._status:
            self._status = status
            self._say(f"PipelineRun Status: {status}")
        for record in self._store.latest_steps(self._run_id) if self._stream else ():
            if self._only in (None, record.key):
                self._look_at(record)

    def end(self, status: str) -> None:
        """Print the rest and a summary."""
        self.look(status)
        self._say("")
        self._say("PipelineRun Execution Summary")
        self._say("==============================")
        for record in self._store.latest_steps(self._run_id) if self._stream else ():
            note = f"reused from {record.reused_from}" if record.reused_from else f"{record.seconds:.1f} s"
            self._say(f"{record.name}: {record.status.value} ({note})")
        self._say(f"PipelineRun Status: {status}")

    def _look_at(self, record: RunRecord) -> None:
        if record.status.is_final and self._seen.get(record.run_id) == record.status.value:
            return
        if self._seen.get(record.run_id) is None:
            self._say(f"StepRun({record.name}): {record.decision.get('sentence', 'starts')}")
        self._follow_log(record)
        if record.status.is_final:
            self._say(f"StepRun({record.name}) Status: {record.status.value}")
        self._seen[record.run_id] = record.status.value

    def _follow_log(self, record: RunRecord) -> None:
        path = self._store.files(record.run_id).path(LOG_FILE)
        if path is None:
            return
        with open(path, "rb") as file:
            file.seek(self._offsets.get(record.run_id, 0))
            text = file.read()
        end = len(text) if record.status.is_final else text.rfind(b"\n") + 1
        self._offsets[record.run_id] = self._offsets.get(record.run_id, 0) + end
        for line in text[:end].decode(errors="replace").splitlines():
            self._say(f"[{record.name}] {line}")

    def _say(self, line: str) -> None:
        if self._stream is not None:
            self._stream.write(line + "\n")
            self._stream.flush()
