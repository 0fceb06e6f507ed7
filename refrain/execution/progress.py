"""Progress: shows how a run is getting on, live on a terminal and as plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import Protocol, TextIO

from refrain.execution.listener import Listener, Phase
from refrain.execution.summary import summary
from refrain.execution.tally import RunTally, StepState, StepTally
from refrain.reuse.decision import Decision
from refrain.steps.definition import PipelineDefinition
from refrain.tracking.run_id import short_id

# A stream that is closed, a terminal that is gone, a pipe that nobody reads any more: the run goes on unseen.
_UNDISTURBED = contextlib.suppress(OSError, ValueError)


class View(Protocol):
    """What shows a run; never called by two threads at once. An OSError or a ValueError does not disturb the run."""

    def began(self, run: RunTally) -> None:
        """Show that a run begins."""

    def warned(self, warning: str) -> None:
        """Show what is wrong with the pipeline."""

    def changed(self, run: RunTally) -> None:
        """Show that a step has gone on."""

    def decided(self, step: StepTally) -> None:
        """Show what was decided on a step."""

    def waits(self, step: StepTally, run_id: str) -> None:
        """Show that a step waits for another run that makes the same result."""

    def line(self, step: StepTally, line: str) -> None:
        """Show a line of a step's output."""

    def noted(self, step: StepTally, note: str) -> None:
        """Show a remark on a step."""

    def ended(self, step: StepTally) -> None:
        """Show that a step has ended."""

    def finished(self, run: RunTally) -> None:
        """Show the summary."""


class Progress(Listener):
    """Keeps the tally of a run and has a view show it."""

    def __init__(self, view: View) -> None:
        """Show everything in *view*."""
        self._view = view
        self._lock = threading.Lock()
        self._run = RunTally("", "", {})

    def began(self, run_id: str, definition: PipelineDefinition) -> None:
        """See :meth:`Listener.began`."""
        with self._lock, _UNDISTURBED:
            self._run = RunTally.of(run_id, definition)
            self._view.began(self._run)

    def warned(self, warning: str) -> None:
        """See :meth:`Listener.warned`."""
        with self._lock, _UNDISTURBED:
            self._view.warned(warning)

    def entered(self, key: str, phase: Phase) -> None:
        """See :meth:`Listener.entered`."""
        with self._lock, _UNDISTURBED:
            self._run.entered(key, phase)
            self._view.changed(self._run)

    def decided(self, key: str, decision: Decision, run_id: str) -> None:
        """See :meth:`Listener.decided`."""
        with self._lock, _UNDISTURBED:
            self._view.decided(self._run.decided(key, decision, run_id))

    def waits(self, key: str, run_id: str) -> None:
        """See :meth:`Listener.waits`."""
        with self._lock, _UNDISTURBED:
            self._view.waits(self._run.line(key, f"waiting for run {short_id(run_id)}"), run_id)

    def line(self, key: str, line: str) -> None:
        """See :meth:`Listener.line`."""
        with self._lock, _UNDISTURBED:
            self._view.line(self._run.line(key, line), line)

    def noted(self, key: str, note: str) -> None:
        """See :meth:`Listener.noted`."""
        with self._lock, _UNDISTURBED:
            self._view.noted(self._run.step(key), note)

    def ended(self, key: str, status: str, detail: str = "") -> None:
        """See :meth:`Listener.ended`."""
        with self._lock, _UNDISTURBED:
            self._view.ended(self._run.step_ended(key, status, detail))

    def finished(self, status: str) -> None:
        """See :meth:`Listener.finished`."""
        with self._lock, _UNDISTURBED:
            self._run.finished(status)
            self._view.finished(self._run)


class PlainView:
    """Lines with the time of day, for logs."""

    def __init__(self, stream: TextIO) -> None:
        """Write to *stream*."""
        self._stream = stream
        self._time = (0, "")

    def began(self, run: RunTally) -> None:
        """See :meth:`View.began`."""
        self._say(f"{run.name}: run {run.run_id}, {len(run.steps)} steps")

    def warned(self, warning: str) -> None:
        """See :meth:`View.warned`."""
        self._say(f"Warning: {warning}")

    def changed(self, run: RunTally) -> None:
        """See :meth:`View.changed`; phases are not shown."""

    def decided(self, step: StepTally) -> None:
        """See :meth:`View.decided`."""
        if step.decision is not None:
            self._say(f"{step.key}: {step.decision.sentence()}")

    def waits(self, step: StepTally, run_id: str) -> None:
        """See :meth:`View.waits`."""
        self._say(f"{step.key}: waiting for run {run_id}, which is making the same result")

    def line(self, step: StepTally, line: str) -> None:
        """See :meth:`View.line`."""
        self._say(f"{step.key} | {line}")

    def noted(self, step: StepTally, note: str) -> None:
        """See :meth:`View.noted`."""
        self._say(f"{step.key}: {note}")

    def ended(self, step: StepTally) -> None:
        """See :meth:`View.ended`; of a reused step everything was said when that was decided."""
        if step.state is not StepState.REUSED:
            self._say(f"{step.key}: {step.ending}")

    def finished(self, run: RunTally) -> None:
        """See :meth:`View.finished`."""
        self._stream.write("\n".join(["", *summary(run), ""]))
        self._stream.flush()

    def _say(self, text: str) -> None:
        now = int(time.time())
        if now != self._time[0]:  # most lines of a run that reuses everything come in one second
            self._time = (now, time.strftime("%H:%M:%S", time.localtime(now)))
        self._stream.write(f"{self._time[1]} {text}\n")


def show_progress(stream: TextIO | None = None, *, is_verbose: bool = False) -> Progress:
    """Return a listener that shows progress: live if *stream* is a terminal of a person, else as plain lines.

    :param stream: None means standard error.
    :param is_verbose: show every line of the steps' output on a terminal too, not only the latest of each.
    """
    stream = stream or sys.stderr
    if _is_live(stream):
        from refrain.execution.live import LiveView

        return Progress(LiveView(stream, is_verbose=is_verbose))
    return Progress(PlainView(stream))


def _is_live(stream: TextIO) -> bool:
    is_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return not is_ci and os.environ.get("TERM") != "dumb" and stream.isatty()
