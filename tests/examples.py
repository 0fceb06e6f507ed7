"""The examples as their tests use them: a copy that may be edited, and what a run of it did."""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from refrain import Pipeline
from refrain.execution.listener import Listener, Phase
from refrain.pipelines.local import run_pipeline
from refrain.pipelines.pipeline import defining
from refrain.pipelines.run import StepRun

DAGS = Path(__file__).resolve().parents[1] / "dags"

RunScript = Callable[..., None]
Contents = Callable[[Path], dict[str, bytes]]


class Launches(Listener):
    """Hears which steps start a process."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def entered(self, key: str, phase: Phase) -> None:
        """See :meth:`refrain.execution.listener.Listener.entered`."""
        if phase is Phase.LAUNCH:
            self.keys.add(key)


@dataclass(frozen=True)
class Ran:
    """One run of the retraining pipeline: its steps by name, and the names of those that started a process."""

    steps: dict[str, StepRun]
    launched: set[str]

    def reason(self, step: str) -> str:
        """Return in words why a step ran or was reused."""
        return str(self.steps[step].record.decision["sentence"])


@dataclass
class Project:
    """A copy of the examples with a workspace of its own."""

    folder: Path
    dags: Path = field(init=False)
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.dags = self.folder / "dags"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(DAGS, self.dags, ignore=ignored)
        self.environment = {
            "REFRAIN_WORKSPACE": str(self.folder / "workspace"),
            "REFRAIN_CACHE": str(self.folder / "cache"),
        }

    def pipeline(self) -> Pipeline:
        """Load the retraining pipeline as `refrain run` does."""
        with defining():
            pipeline: Pipeline = runpy.run_path(str(self.dags / "retrain_diabetes.py"))["pipeline"]
        return pipeline

    def run(self, **parameters: Any) -> Ran:
        """Run the retraining pipeline with the real engine."""
        heard = Launches()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            done = run_pipeline(self.pipeline(), parameters, listener=heard)
            return Ran({step.name: step for step in done.get_steps()}, heard.keys)

    def edit(self, step: str, old: str, new: str) -> None:
        """Change a step's script."""
        script = self.dags / "retrain_diabetes_steps" / step / f"{step}.py"
        text = script.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{script.name} does not hold {old!r} once"
        script.write_text(text.replace(old, new), encoding="utf-8")

    def revert(self) -> None:
        """Undo every edit."""
        shutil.copytree(DAGS / "retrain_diabetes_steps", self.dags / "retrain_diabetes_steps", dirs_exist_ok=True)
