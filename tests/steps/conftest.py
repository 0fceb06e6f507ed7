"""A pipeline that is being built, and a source directory with a script."""

from pathlib import Path

import pytest

from refrain.data.datastore import Datastore
from refrain.pipelines.graph import Graph
from refrain.pipelines.workspace import Workspace
from refrain.steps.definition import StepDefinition
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
def store(workspace: Workspace) -> Datastore:
    return Datastore(workspace)


@pytest.fixture
def step(source: Path):
    """Makes a step of the script ``train.py``."""
    return lambda *arguments, **options: PythonScriptStep(
        "train.py", arguments=list(arguments), **{"source_directory": source, **options}
    )


@pytest.fixture
def define():
    """Defines the last of the given steps, with all of them in one pipeline."""

    def run(*steps: PythonScriptStep) -> StepDefinition:
        graph = Graph("workspaceblobstore", None)
        graph.add(list(steps))
        definition = graph.define("p", "")
        return definition.step(graph.key_of(steps[-1]))

    return run
