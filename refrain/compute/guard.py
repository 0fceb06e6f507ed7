"""Guard: a small process that outlives the engine just long enough to end what the engine started.

It reads ``+<group> <run id>`` and ``-<group>`` lines from its standard input. When the input ends, because the engine
ended in whatever way, kill -9 included, it kills the groups that are left. It runs with the standard library alone.
"""

from __future__ import annotations

import os
import signal
import sys
import time

_ROUNDS = 10


def main() -> None:
    """Read until the engine is gone, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, str] = {}
    for line in sys.stdin:
        group, _, run_id = line[1:].strip().partition(" ")
        if line.startswith("+"):
            groups[int(group)] = run_id
        else:
            groups.pop(int(group), None)
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            continue
    marks = {f"AZUREML_RUN_ID={run_id}".encode() for run_id in groups.values()}
    for _ in range(_ROUNDS):  # a process that forks while it is being killed is met again in the next round
        if not marks or not _kill_marked(marks):
            break
        time.sleep(0.01)


def _kill_marked(marks: set[bytes]) -> int:
    """Kill the processes that made a session of their own, and return how many there were."""
    names = os.listdir("/proc") if os.path.isdir("/proc") else []
    count = 0
    for name in (name for name in names if name.isdigit() and int(name) != os.getpid()):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if marks & set(file.read().split(b"\0")):
                    os.kill(int(name), signal.SIGKILL)
                    count += 1
        except OSError:
            continue
    return count


if __name__ == "__main__":
    main()
