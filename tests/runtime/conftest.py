"""A run of a step, as the engine prepares it."""

import json
from pathlib import Path
from typing import Any

import pytest

from refrain.runtime.run import Run

CONTEXT: dict[str, Any] = {
    "schema": 1,
    "run_id": "r1.train.0",
    "name": "train",
    "experiment": "diabetes",
    "workspace": {"name": "ws", "root": "/data/ws"},
    "parent": {"run_id": "r1", "name": "retrain", "tags": {"by": "schedule"}},
    "input_datasets": {"raw": "/data/raw.csv"},
    "output_datasets": {"prepared": "/data/prepared"},
    "tags": {"stage": "test"},
    "properties": {"StepType": "PythonScriptStep"},
}


@pytest.fixture
def context() -> dict[str, Any]:
    return dict(CONTEXT)


@pytest.fixture
def run_folder(tmp_path: Path, context: dict[str, Any]) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "context.json").write_text(json.dumps(context))
    return folder


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the script."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(run_folder: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("REFRAIN_RUN_DIR", str(run_folder))
    current = Run.get_context()
    assert isinstance(current, Run)
    return current
