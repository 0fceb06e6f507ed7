"""What is loaded: a pipeline of scripts pays for nothing that it does not use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = {"airflow", "fsspec", "numpy", "pandas", "pathspec", "pyarrow", "pyspark", "rich", "sqlalchemy"}
STANDARD = {
    "concurrent.futures",
    "ctypes",
    "difflib",
    "hashlib",
    "logging",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "tempfile",
    "uuid",
}
"""Of the standard library: each costs as much as deciding a dozen of steps."""

OURS = {
    "refrain.data.files",
    "refrain.data.sql",
    "refrain.data.tabular.dataset",
    "refrain.environments.environment",
    "refrain.execution.commit",
    "refrain.execution.datasets",
    "refrain.execution.links",
    "refrain.execution.process_body",
    "refrain.execution.queries",
    "refrain.execution.transfer_body",
    "refrain.runtime",
    "refrain.steps.data_transfer",
    "refrain.steps.launching",
    "refrain.steps.imports",
    "refrain.storage.filesystem",
    "refrain.storage.ledger",
    "refrain.storage.remote",
    "refrain.storage.remote_files",
    "refrain.storage.remote_objects",
    "refrain.storage.sql",
    "refrain.storage.transfer",
    "refrain.tracking.metrics",
}

PIPELINE = """
from refrain import Pipeline, PipelineData, PythonScriptStep, Workspace
made = PipelineData("made")
first = PythonScriptStep("work.py", name="first", source_directory="source", arguments=[made], outputs=[made])
second = PythonScriptStep("work.py", name="second", source_directory="source", arguments=[made, 1], inputs=[made])
pipeline = Pipeline(Workspace("workspace"), [first, second], name="plain")
"""
WORK = "import sys\nif len(sys.argv) == 2: open(sys.argv[1], 'w').close()\n"

DECLARED = """
import sys
from refrain.cli import main
main(sys.argv[1:])
modules = [module for name, module in sys.modules.items() if name.startswith("refrain.")]
classes = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
for one in classes:
    is_value = "__dataclass_fields__" in vars(one) and one.__dataclass_params__.frozen
    has_ancestors = any(hasattr(base, "__dataclass_fields__") for base in one.__bases__)
    is_ours = getattr(one.__setattr__, "__module__", "") == "refrain.values"
    if is_value and not has_ancestors and "__slots__" not in vars(one) and not is_ours:
        print(f"{one.__module__}.{one.__qualname__}")
"""

COMMAND = """
import json, sys
from refrain.cli import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a pipeline whose steps have all run."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "source").mkdir()
    (folder / "source" / "work.py").write_text(WORK)
    (folder / "pipeline.py").write_text(PIPELINE)
    subprocess.run([sys.executable, "-m", "refrain.cli", "run", "pipeline.py"], cwd=folder, check=True)
    return folder


def _loaded(project: Path, *words: str) -> tuple[set[str], str]:
    command = [sys.executable, "-c", COMMAND, *words]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    return set(modules), done.stdout + done.stderr


def test_importing_refrain_loads_the_standard_library_alone() -> None:
    program = "import sys; before = set(sys.modules); import refrain; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found = {name.partition(".")[0] for name in done.stdout.split()}
    assert found - set(sys.stdlib_module_names) == {"refrain"}
    assert [name for name in done.stdout.split() if name.startswith("refrain")] == ["refrain"]


@pytest.mark.parametrize("command", ["run", "explain"])
def test_a_pipeline_of_scripts_that_are_reused_loads_nothing_for_other_kinds_of_data(
    project: Path, command: str
) -> None:
    modules, said = _loaded(project, command, "pipeline.py")
    assert "second" in said
    assert "reused" in said
    assert modules & (PACKAGES | OURS | STANDARD) == set()


def test_values_that_are_loaded_for_reused_steps_are_those_that_cost_little(project: Path) -> None:
    command = [sys.executable, "-c", DECLARED, "run", "pipeline.py"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_module_that_must_not_be_loaded_exists(root: Path) -> None:
    paths = [root.joinpath(*name.split(".")) for name in OURS]
    assert [path for path in paths if not path.is_dir() and not path.with_suffix(".py").is_file()] == []
