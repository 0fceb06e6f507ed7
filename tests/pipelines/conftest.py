"""A workspace and a source directory, for whole pipelines."""

from pathlib import Path

import pytest

from fakes.project import Project
from refrain.pipelines.pipeline import Pipeline
from refrain.pipelines.workspace import Workspace
from refrain.steps.python_script import PythonScriptStep


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)")
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "ws")


@pytest.fixture
def step(source: Path):
    """Makes a step of the script ``train.py``."""
    return lambda name="train.py", **options: PythonScriptStep(
        "train.py", name, **{"source_directory": source, **options}
    )


@pytest.fixture
def pipeline(workspace: Workspace):
    """Builds a pipeline."""
    return lambda steps, **options: Pipeline(workspace, steps, **options)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
