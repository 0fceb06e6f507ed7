"""Guard: a small process that outlives the engine just long enough to end what the engine started.

It reads lines from its standard input: ``?<run id>`` before a process is started, ``+<group> <run id>`` when it has
been, ``-<group>`` when it has ended, ``!<run id>`` when it could not be started; and, for what no signal reaches,
``*<JSON>`` with a command that ends it, its folder and a name, and ``/<name>`` when nothing is to be ended any more.
When the input ends, because the engine ended in whatever way, kill -9 included, it kills what is left and runs the
commands. It runs with the standard library alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

_LOOKS = 25
_PAUSE = 0.02
_COMMAND_SECONDS = 120.0


def main() -> None:
    """Read until the engine is gone, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, str] = {}
    expected: set[str] = set()
    commands: dict[str, tuple[str, list[str]]] = {}
    for line in sys.stdin:
        if line[:1] in "*/":
            _take_command(line[:1], line[1:].strip(), commands)
        else:
            _take(line[:1], line[1:].strip(), groups, expected)
    running = [_run(folder, argv) for folder, argv in commands.values()]
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            continue
    marks = {f"AZUREML_RUN_ID={run_id}".encode() for run_id in {*groups.values(), *expected}}
    # Again and again for half a second, even when nothing is found: a process that forks while it is being killed has
    # a child that was not seen, and one that is just replacing its program shows no mark.
    for _ in range(_LOOKS if marks else 0):
        _kill_marked(marks)
        time.sleep(_PAUSE)
    _wait(running)


def _take_command(kind: str, text: str, commands: dict[str, tuple[str, list[str]]]) -> None:
    """Take in a line of the engine that is about a command."""
    if kind == "*":
        name, folder, argv = json.loads(text)
        commands[name] = folder, argv
    else:
        commands.pop(text, None)


def _run(folder: str, argv: list[str]) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL)
    except OSError:
        return None


def _wait(running: list[subprocess.Popen[bytes] | None]) -> None:
    """Let commands end, but not for ever."""
    deadline = time.monotonic() + _COMMAND_SECONDS
    for process in running:
        if process is None:
            continue
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()


def _take(kind: str, text: str, groups: dict[int, str], expected: set[str]) -> None:
    """Take in one line of the engine."""
    if kind == "?":
        expected.add(text)
    elif kind == "!":
        expected.discard(text)
    elif kind == "+":
        group, _, run_id = text.partition(" ")
        groups[int(group)] = run_id
        expected.discard(run_id)
    else:
        groups.pop(int(text), None)


def _kill_marked(marks: set[bytes]) -> None:
    """Kill the processes that carry a mark, those that made a session of their own included."""
    names = os.listdir("/proc") if os.path.isdir("/proc") else []
    for name in (name for name in names if name.isdigit() and int(name) != os.getpid()):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if marks & set(file.read().split(b"\0")):
                    os.kill(int(name), signal.SIGKILL)
        except OSError:
            continue


if __name__ == "__main__":
    main()
