"""Run the examples' step scripts as their users do by hand: one ordinary process each."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

RunScript = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def dags_folder() -> Path:
    """The folder that Airflow takes its DAGs from."""
    return ROOT / "dags"


@pytest.fixture(scope="session")
def run_script(dags_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunScript:
    """Run a script below `dags/` outside any run, in a folder that is not its own, and wait for it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AZUREML_", "REFRAIN_"))}
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def run(script: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, str(dags_folder / script), *map(str, arguments)],
            cwd=elsewhere,
            env=kept,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def must_run(run_script: RunScript) -> Callable[..., None]:
    """Run a script that has to succeed; its own words explain it when it does not."""

    def run(script: str, *arguments: object) -> None:
        done = run_script(script, *arguments)
        assert done.returncode == 0, done.stderr

    return run


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder, by relative path."""

    def read(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return read
