"""Failure: what is said about a step whose process did not end well."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from refrain.compute.job import JobResult
from refrain.data.ports import OutputKind, OutputMode
from refrain.execution.stage import Stage
from refrain.steps.command_step import KIND as COMMAND
from refrain.steps.definition import StepDefinition
from refrain.steps.launching import is_launched

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
    parts = [f"Step {step.name!r} {_ending(step, result)}", *_hints(step, stage, "\n".join(last))]
    if cause:
        parts.append(cause)
    parts.append(f"Its log is {log_path}")
    if last:
        parts.append("and ends with:\n" + "\n".join(f"    {line}" for line in last))
    return " ".join(parts)


def _ending(step: StepDefinition, result: JobResult) -> str:
    exit_code = result.exit_code
    if result.cause:
        return f"failed: {result.cause}"
    if exit_code < 0:
        name = _signal(-exit_code)
        return f"failed: its process was ended by {name}." + (f" {_OUT_OF_MEMORY}" if name == "SIGKILL" else "")
    is_command = step.kind == COMMAND
    by_another = is_command or is_launched(step.command) or step.environment.uses_spark
    meaning = _of_a_shell(exit_code) if by_another else ""
    return f"failed: its {'command' if is_command else 'script'} exited with code {exit_code}.{meaning}"


def _of_a_shell(exit_code: int) -> str:
    """Say what a shell, the launcher of several processes, or Spark means by a code."""
    if exit_code == 127:
        return " A program was not found: it is not on PATH, or not in the source_directory."
    if exit_code == 126:
        return " A program could not be run: its file is not executable."
    name = _signal(exit_code - 128) if exit_code > 128 else ""
    if not name.startswith("SIG"):
        return ""
    return f" That stands for an end by {name}." + (f" {_OUT_OF_MEMORY}" if name == "SIGKILL" else "")


def _signal(number: int) -> str:
    return signal.Signals(number).name if number in signal.Signals._value2member_map_ else str(number)


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
