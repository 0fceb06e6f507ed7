"""A small project: its files, and what a command left."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refrain.compute.processes import start_mark

PIPELINE = """
from refrain import Pipeline, PipelineData, PipelineParameter, PythonScriptStep, Workspace

workspace = Workspace.from_config()
clean, model = PipelineData("clean"), PipelineData("model")
prepare = PythonScriptStep("prepare.py", name="prepare", arguments=[clean], outputs=[clean], source_directory="prepare")
train = PythonScriptStep(
    "train.py",
    name="train",
    arguments=[clean, model, "--alpha", PipelineParameter("alpha", 0.5)],
    inputs=[clean],
    outputs=[model],
    source_directory="train",
)
pipeline = Pipeline(workspace, [train], name="retrain")
"""
PREPARE = """
import sys
print("preparing")
open(sys.argv[1], "w").write("clean")
"""
TRAIN = """
import sys
from refrain import Run
run = Run.get_context()
alpha = float(sys.argv[4])
run.log("alpha_seen", alpha)
run.parent.log("best", alpha)
if alpha < 0:
    print("alpha must not be negative")
    sys.exit(3)
open(sys.argv[2], "w").write(f"model {alpha}")
"""


@dataclass(frozen=True)
class Called:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Refrain = Callable[..., Called]
Start = Callable[..., "subprocess.Popen[str]"]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


SLEEPER_PIPELINE = """
from refrain import Pipeline, PipelineData, PythonScriptStep, Workspace

out = PipelineData("out")
step = PythonScriptStep("sleep.py", name="sleep", arguments=[out, {notes!r}], outputs=[out], source_directory="sleep")
pipeline = Pipeline(Workspace.from_config(), [step], name="sleeper")
"""
SLEEP = """
import os, signal, sys, time

output, notes = sys.argv[1:]


def note(name):
    with open(f"{notes}/{name}.new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(f"{notes}/{name}.new", f"{notes}/{name}.pid")


if not os.path.exists(f"{notes}/pass"):
    if os.path.exists(f"{notes}/stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(output, "w") as file:
        file.write("half")
    if os.fork() == 0:
        os.setsid()
        note("escaped")
    else:
        note("step")
    time.sleep(120)
with open(output, "w") as file:
    file.write("whole")
"""


@dataclass(frozen=True)
class Sleeper:
    """A pipeline whose step sleeps, beside a child that has left its session; ``notes`` tell their process ids."""

    folder: Path
    notes: Path

    def wait_until_asleep(self) -> None:
        assert _comes_true(lambda: len(list(self.notes.glob("*.pid"))) == 2), "the step has not started"

    def assert_all_gone(self) -> None:
        processes = [int(path.read_text()) for path in self.notes.glob("*.pid")]
        assert len(processes) == 2
        assert _comes_true(lambda: not any(start_mark(process) for process in processes)), "a process is left"

    def let_pass(self) -> None:
        (self.notes / "pass").touch()

    def make_stubborn(self) -> None:
        (self.notes / "stubborn").touch()


def _comes_true(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()
