"""``refrain run FILE --step NAME``: one step alone, to look into it."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from cli.sample import Refrain, Start, write
from fakes.servers import free_port
from fakes.waiting import eventually

BROKEN = """
import sys
open("scratch.txt", "w").write(open(sys.argv[1]).read())
if float(sys.argv[4]) > 1:
    raise ValueError("alpha is too large")
open(sys.argv[2], "w").write("model")
"""


@pytest.fixture
def broken(project: Path) -> Path:
    """The project, with a training that leaves a file behind and fails for a large alpha."""
    write(project, "train/train.py", BROKEN)
    return project


def _run_folder(document: dict[str, Any], key: str) -> dict[str, Any]:
    return next(step for step in document["steps"] if step["key"] == key)


def test_a_failed_step_is_told_with_the_command_that_runs_it_alone(refrain: Refrain, broken: Path) -> None:
    called = refrain("run", "pipeline.py", "--param", "alpha=2 ")

    assert called.code == 1
    end = called.err.rstrip().splitlines()
    assert end[-2:] == [
        "Run it alone, and keep its working directory: refrain run pipeline.py --step train --param 'alpha=2 '",
        "With --debug its script waits for a debugger.",
    ]
    traceback = called.err.index("ValueError: alpha is too large")
    assert traceback < called.err.index("Run it alone")


def test_the_log_of_a_run_in_the_background_ends_with_that_command(refrain: Refrain, broken: Path) -> None:
    run_id = refrain("run", "pipeline.py", "--param", "alpha=2", "--detach").out.strip()
    (log,) = broken.rglob(f"{run_id}/runner.log")
    assert eventually(lambda: "--debug" in log.read_text())
    assert f"refrain run {broken / 'pipeline.py'} --step train --param alpha=2\n" in log.read_text()


def test_a_step_runs_alone_on_what_those_before_it_gave_and_its_folder_stays(refrain: Refrain, broken: Path) -> None:
    first = refrain("run", "pipeline.py", "--json")

    alone = refrain("run", "pipeline.py", "--step", "train", "--json")

    assert alone.code == 0, alone.err
    assert [step["key"] for step in alone.document["steps"]] == ["train"]
    assert _run_folder(alone.document, "train")["state"] == "completed"
    assert first.document["run_id"] != alone.document["run_id"]
    assert (broken / ".refrain/steps/train/scratch.txt").read_text() == "clean"
    assert (broken / ".refrain/steps/train/train.py").is_file()
    assert "The working directory is kept in .refrain/steps/train." in alone.err


def test_the_folder_of_a_step_that_fails_stays_and_takes_the_place_of_the_last(refrain: Refrain, broken: Path) -> None:
    refrain("run", "pipeline.py")
    kept = broken / "here"
    assert refrain("run", "pipeline.py", "--step", "train", "--keep-in", "here").code == 0
    (kept / "stale.txt").touch()

    called = refrain("run", "pipeline.py", "--step", "train", "--keep-in", "here", "--param", "alpha=2")

    assert called.code == 1
    assert "ValueError: alpha is too large" in called.err
    assert (kept / "scratch.txt").read_text() == "clean"
    assert not (kept / "stale.txt").exists()
    assert "Run it alone" not in called.err


def test_a_step_whose_predecessors_never_ran_says_so(refrain: Refrain, project: Path) -> None:
    called = refrain("run", "pipeline.py", "--step", "train")

    assert called.code == 2
    assert (
        "Step 'train' reads what prepare wrote, and no run of 'retrain' in this workspace has completed" in called.err
    )


def test_a_step_that_is_not_there_is_told_with_those_that_are(refrain: Refrain, project: Path) -> None:
    called = refrain("run", "pipeline.py", "--step", "trian")

    assert called.code == 2
    assert "There is no step 'trian'. Known: prepare, train. Did you mean 'train'?" in called.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--debug"], "--debug and --keep-in belong to --step STEP"),
        (["--keep-in", "x"], "--debug and --keep-in belong to --step STEP"),
        (["--step", "train", "--detach"], "--detach runs whole pipelines"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_use(
    refrain: Refrain, project: Path, words: list[str], message: str
) -> None:
    called = refrain("run", "pipeline.py", *words)

    assert called.code == 2
    assert message in called.err


def test_no_debugger_is_awaited_on_another_machine(refrain: Refrain, project: Path) -> None:
    text = (project / "pipeline.py").read_text()
    (project / "pipeline.py").write_text(text.replace('"train.py",', '"train.py", compute_target="boxes",', 1))
    refrain("compute", "set", "boxes", "docker", "image=none")

    called = refrain("run", "pipeline.py", "--step", "train", "--debug")

    assert called.code == 2
    assert (
        "Step 'train' runs on 'boxes', of the kind 'docker', where no debugger of this machine reaches it" in called.err
    )


class _Debugger:
    """An editor's side of the Debug Adapter Protocol, as far as a program must be let go."""

    def __init__(self, port: int) -> None:
        self._socket = _connected(port)
        self._stream = self._socket.makefile("rb")
        self._number = 0

    def ask(self, command: str, **arguments: Any) -> None:
        self._number += 1
        message = {"seq": self._number, "type": "request", "command": command, "arguments": arguments}
        content = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n" % len(content) + content)

    def wait_for(self, kind: str) -> dict[str, Any]:
        while True:
            length = int(self._stream.readline().split(b":")[1])
            assert self._stream.readline() == b"\r\n"
            message: dict[str, Any] = json.loads(self._stream.read(length))
            if kind in (message.get("event"), message.get("command")):
                return message

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


def _connected(port: int) -> socket.socket:
    deadline = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=60)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "nobody listens for a debugger"
            time.sleep(0.1)


def test_a_script_waits_for_a_debugger_before_it_begins(refrain: Refrain, start: Start, broken: Path) -> None:
    pytest.importorskip("debugpy")
    first = refrain("run", "pipeline.py", "--json").document
    port = free_port()
    process = start("run", "pipeline.py", "--step", "train", "--debug", str(port))

    debugger = _Debugger(port)
    debugger.ask("initialize", adapterID="test")
    debugger.wait_for("initialize")
    assert not list(broken.glob(".refrain/workspace/staging/*/work/scratch.txt")), "the script has begun"
    debugger.ask("attach", justMyCode=True)
    debugger.wait_for("initialized")
    debugger.ask("configurationDone")
    debugger.wait_for("terminated")
    debugger.close()

    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert f"train waits for a debugger at 127.0.0.1:{port} before its script begins." in said
    assert (broken / ".refrain/steps/train/scratch.txt").read_text() == "clean"
    again = refrain("run", "pipeline.py", "--json").document
    assert _run_folder(again, "train")["reused_from"] == _run_folder(first, "train")["run_id"], "nobody debugged that"


def test_an_interpreter_without_a_debugger_is_named(refrain: Refrain, project: Path) -> None:
    fake = project / "python"
    fake.write_text('#!/bin/sh\ncase "$*" in *debugpy*) exit 1;; esac\nexec python3 "$@"\n')
    fake.chmod(0o755)
    text = (
        (project / "pipeline.py")
        .read_text()
        .replace(
            "workspace =",
            f"""
from refrain import RunConfiguration
bare = RunConfiguration()
bare.environment.python.interpreter_path = {str(fake)!r}
workspace =""",
            1,
        )
    )
    (project / "pipeline.py").write_text(text.replace('"train.py",', '"train.py", runconfig=bare,', 1))
    refrain("run", "pipeline.py")

    called = refrain("run", "pipeline.py", "--step", "train", "--debug")

    assert called.code == 1
    assert f"The step's interpreter {str(fake)!r} has no debugpy. Install it there: pip install debugpy" in called.err
