"""Failure: what is said about a step whose process did not end well."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from refrain.compute.job import JobResult
from refrain.data.ports import OutputKind, OutputMode
from refrain.execution.stage import Stage
from refrain.steps.definition import StepDefinition

TAIL_LINES = 20
_OUT_OF_MEMORY = "It may have been stopped for using too much memory."


def tail(log_path: str, lines: int = TAIL_LINES) -> list[str]:
    """Return the last lines of a log; empty when there is none."""
    try:
        with open(log_path, encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, maxlen=lines)]
    except OSError:
        return []


def message(
    step: StepDefinition, result: JobResult, stage: Stage, log_path: str, last: Sequence[str], cause: str = ""
) -> str:
    """Return the error of a failed step: how it ended, what may be wrong, where the log is and how it ends.

    :param last: the last lines of the output; they are not read from the log, which a full disk may have cut.
    :param cause: what is known of the reason.
    """
    parts = [f"Step {step.name!r} {_ending(result.exit_code)}", *_hints(step, stage, "\n".join(last))]
    if cause:
        parts.append(cause)
    parts.append(f"Its log is {log_path}")
    if last:
        parts.append("and ends with:\n" + "\n".join(f"    {line}" for line in last))
    return " ".join(parts)


def _ending(exit_code: int) -> str:
    if exit_code >= 0:
        return f"failed: its script exited with code {exit_code}."
    name = signal.Signals(-exit_code).name if -exit_code in signal.Signals._value2member_map_ else str(-exit_code)
    return f"failed: its process was ended by {name}." + (f" {_OUT_OF_MEMORY}" if name == "SIGKILL" else "")


def _hints(step: StepDefinition, stage: Stage, text: str) -> list[str]:
    """Tell of the classic mistake: writing into a plain output as if it were a directory that exists."""
    hints = []
    for port in step.outputs:
        path: Path = stage.outputs[port.name]
        is_leaf = port.kind is OutputKind.ANY and port.mode is OutputMode.MOUNT and not path.exists()
        if is_leaf and str(path) in text:
            hints.append(
                f"The output {port.name!r} may be a file, so no directory was made for it: call "
                f"os.makedirs(path, exist_ok=True) in the script, or declare it with is_directory=True."
            )
    return hints
