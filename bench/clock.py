"""Clock: CPU and wall seconds of whole processes, their children included."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Cost:
    """What one run cost, in seconds; ``cpu`` is user and system time together, ``peak`` the memory in MiB."""

    wall: float
    cpu: float
    peak: float = 0.0


def cost_of(command: Sequence[str], environment: Mapping[str, str] | None = None, cwd: str | None = None) -> Cost:
    """Run a command to its end and return its cost, children that it waited for included.

    :raises subprocess.CalledProcessError: when it fails, with its output.
    """
    begun = time.perf_counter()
    with subprocess.Popen(
        command, env=None if environment is None else dict(environment), cwd=cwd,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.stderr.write(output.decode(errors="replace"))
        raise subprocess.CalledProcessError(process.returncode, command, output)
    return Cost(time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def alternating(ours: Callable[[], Cost], peer: Callable[[], Cost], rounds: int) -> tuple[Cost, Cost]:
    """Measure two things turn by turn, so that a noisy neighbour disturbs both; return the medians."""
    pairs = [(ours(), peer()) for _ in range(rounds)]
    return median([pair[0] for pair in pairs]), median([pair[1] for pair in pairs])


def median(costs: Sequence[Cost]) -> Cost:
    """Return the medians of wall and CPU seconds, and of the memory."""
    return Cost(*(statistics.median(values) for values in zip(*(astuple(cost) for cost in costs), strict=True)))
