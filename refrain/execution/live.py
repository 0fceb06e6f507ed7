"""LiveView: a run on a terminal, redrawn a few times a second: counts, what runs now, what ended last."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TextIO

from refrain.execution.duration import duration
from refrain.execution.summary import counts, summary
from refrain.execution.tally import RunTally, StepState, StepTally
from refrain.tracking.run_id import short_id

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

_FRAMES_PER_SECOND = 8
_QUIET_SECONDS = 0.5  # a run that only reuses is over before anything needs to be drawn
_OTHER_LINES = 9  # the heading, what ended last, and room for the prompt
_FEWEST_LINES = 3
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x1f\x7f-\x9f]")
_MARKS = {
    StepState.COMPLETED: ("✔", "green"),
    StepState.REUSED: ("↺", "cyan"),
    StepState.FAILED: ("✘", "bold red"),
    StepState.CANCELED: ("■", "yellow"),
    StepState.RUNNING: ("▸", "blue"),
    StepState.WAITING: ("·", "dim"),
}


class LiveView:
    """See :class:`refrain.execution.progress.View`. Failures and remarks stay on the screen, above the live part."""

    def __init__(self, stream: TextIO, *, is_verbose: bool = False) -> None:
        """Draw on *stream*, which is a terminal."""
        self._stream = stream
        self._is_verbose = is_verbose
        self._run: RunTally | None = None
        self._live: Live | None = None
        self._console: Console | None = None

    def began(self, run: RunTally) -> None:
        """See :meth:`View.began`."""
        self._run = run

    def warned(self, warning: str) -> None:
        """See :meth:`View.warned`."""
        self._print("Warning: ", "yellow", warning)

    def changed(self, run: RunTally) -> None:
        """See :meth:`View.changed`."""
        if self._live is None and (run.seconds > _QUIET_SECONDS or _is_busy(run)):
            self._start()

    def decided(self, step: StepTally) -> None:
        """See :meth:`View.decided`; the summary will tell."""

    def waits(self, step: StepTally, run_id: str) -> None:  # noqa: ARG002  # the step's line names it
        """See :meth:`View.waits`; it is told beside the step."""
        if self._live is None:
            self._start()

    def line(self, step: StepTally, line: str) -> None:
        """See :meth:`View.line`; the latest one stands beside the step."""
        if self._is_verbose:
            self._print(f"{step.key} | ", "dim", line)

    def noted(self, step: StepTally, note: str) -> None:
        """See :meth:`View.noted`."""
        self._print(f"{step.key}: ", "yellow", note)

    def ended(self, step: StepTally) -> None:
        """See :meth:`View.ended`."""
        if step.state is StepState.FAILED:
            mark, style = _MARKS[step.state]
            self._print(f"{mark} {step.key}: ", style, step.ending)

    def finished(self, run: RunTally) -> None:
        """See :meth:`View.finished`."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._stream.write("\n".join([*summary(run), ""]))
        self._stream.flush()

    def _start(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=self._stream, highlight=False)
        self._live = Live(
            console=self._console,
            get_renderable=self._frame,
            refresh_per_second=_FRAMES_PER_SECOND,
            transient=True,
            redirect_stdout=False,  # what a command prints is for whoever reads its output, not for the screen
        )
        self._live.start()

    def _print(self, head: str, style: str, text: str) -> None:
        if self._console is None:
            self._start()
        if self._console is not None:
            self._console.print(_line((head, style), (plain(text), "")), soft_wrap=True)

    def _frame(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        run, console = self._run, self._console
        if run is None or console is None:
            return Text()
        room = max(console.height - _OTHER_LINES, _FEWEST_LINES)
        running = list(run.running.copy().values())  # copied in one go: other threads change it
        lines = [_heading(run), *(_running(step) for step in running[:room])]
        if len(running) > room:
            lines.append(_line((f"  … and {len(running) - room} more running", "dim")))
        lines += [_ended(step) for step in run.last_ended.copy()]
        return Group(*lines)


def plain(text: str) -> str:
    """Return text without what would move the cursor or change colours."""
    return _CONTROL.sub("", text.replace("\t", "    "))


def _is_busy(run: RunTally) -> bool:
    return any(step.decision is not None and not step.decision.is_reused for step in run.running.values())


def _heading(run: RunTally) -> Text:
    done = sum(run.counts.values())
    saved = f" · {duration(run.seconds_saved)} saved" if run.seconds_saved else ""
    return _line(
        (run.name, "bold"),
        (f"  run {short_id(run.run_id)} · {done}/{len(run.steps)} done · {counts(run)}", ""),
        (f" · {len(run.running)} running · {duration(run.seconds)}{saved}", ""),
    )


def _running(step: StepTally) -> Text:
    mark, style = _MARKS[step.state]
    doing = plain(step.last_line) or step.phase.value
    return _line((f"  {mark} ", style), (step.key, "bold"), (f"  {duration(step.seconds)}  ", ""), (doing, "dim"))


def _ended(step: StepTally) -> Text:
    mark, style = _MARKS[step.state]
    return _line((f"  {mark} ", style), (f"{step.key}  {plain(step.ending)}", "dim"))


def _line(*parts: tuple[str, str]) -> Text:
    from rich.text import Text

    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")
