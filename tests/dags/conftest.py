"""The examples' scripts run by hand, and the examples run as a whole: once, for all tests."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples import DAGS, Contents, Project, Ran, RunScript


@pytest.fixture(scope="session")
def dags_folder() -> Path:
    """The folder that Airflow takes its DAGs from."""
    return DAGS


@pytest.fixture(scope="session")
def run_script(tmp_path_factory: pytest.TempPathFactory) -> RunScript:
    """Run a script below `dags/` as the main program, outside any run and in a folder that is not its own."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def run(script: str, *arguments: object) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(elsewhere)
            patch.setattr(sys, "argv", [script, *map(str, arguments)])
            runpy.run_path(str(DAGS / script), run_name="__main__")

    return run


@pytest.fixture(scope="session")
def contents() -> Contents:
    """Every file below a folder, by relative path."""

    def read(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return read


@pytest.fixture(scope="session")
def _copied(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def first_run(_copied: Project) -> Ran:
    """The first run in the copy, in which every step is new."""
    return _copied.run()


@pytest.fixture
def project(_copied: Project, first_run: Ran) -> Iterator[Project]:
    """The copy after its first run; what a test edits is undone."""
    yield _copied
    _copied.revert()


@pytest.fixture(scope="session")
def on_airflow(_copied: Project, first_run: Ran) -> dict[str, Any]:
    """What :mod:`airflow_session` saw, with the workspace in which the retraining pipeline has already run locally."""
    report = _copied.folder / "airflow.json"
    airflow = {
        "AIRFLOW_HOME": str(_copied.folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(_copied.dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    here = Path(__file__).parent
    shutil.copytree(here / "mapped_cases_steps", _copied.dags / "mapped_cases_steps")
    shutil.copy(here / "mapped_cases.py", _copied.dags)
    with (_copied.dags / ".airflowignore").open("a") as ignored:
        ignored.write("mapped_cases_steps\n")
    done = subprocess.run(
        [sys.executable, str(here / "airflow_session.py"), str(_copied.dags), str(report)],
        env={**os.environ, **_copied.environment, **airflow},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    seen: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return seen
