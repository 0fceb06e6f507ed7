"""Commands called in this process and in processes of their own, in a small project."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.sample import PIPELINE, PREPARE, SLEEP, SLEEPER_PIPELINE, TRAIN, Called, Refrain, Sleeper, Start, write
from refrain.cli import main


@pytest.fixture
def refrain(capsys: pytest.CaptureFixture[str]) -> Refrain:
    """Call a command in this process."""

    def call(*words: str) -> Called:
        capsys.readouterr()
        code = main(words)
        written = capsys.readouterr()
        return Called(code, written.out, written.err)

    return call


@pytest.fixture
def project(tmp_path: Path, refrain: Refrain) -> Path:
    """A folder with a workspace and a pipeline of two steps, as the current directory."""
    write(tmp_path, "pipeline.py", PIPELINE)
    write(tmp_path, "prepare/prepare.py", PREPARE)
    write(tmp_path, "train/train.py", TRAIN)
    os.environ["REFRAIN_CACHE"] = str(tmp_path / ".cache")
    os.chdir(tmp_path)
    assert refrain("init", "--name", "project").code == 0
    return tmp_path


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a command in a process of its own, as a shell would."""
    started: list[subprocess.Popen[str]] = []

    def call(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "refrain.cli", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield call
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def sleeper(project: Path) -> Sleeper:
    """A pipeline that can be interrupted, as ``sleeper.py``."""
    notes = project / "notes"
    notes.mkdir()
    write(project, "sleeper.py", SLEEPER_PIPELINE.format(notes=str(notes)))
    write(project, "sleep/sleep.py", SLEEP)
    return Sleeper(project, notes)
