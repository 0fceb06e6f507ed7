"""What holds for every test: a home of its own for the session, and nothing from the user's environment."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Settings of a test run itself, not of what is tested (which server to use, what to keep).
_KEPT = "REFRAIN_TEST_"
_FOREIGN = ("AIRFLOW_", "AML_", "AWS_", "AZUREML_", "AZURE_", "DATABRICKS_", "MLFLOW_", "REFRAIN_", "XDG_")

_home = pytest.StashKey[str]()
_before = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Moves the home before anything is imported that looks for it; each xdist worker has its own."""
    home = tempfile.mkdtemp(prefix="refrain-tests-")
    config.stash[_home] = home
    config.stash[_before] = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(_FOREIGN) and not name.startswith(_KEPT)]:
        del os.environ[name]
    os.environ.update(
        HOME=home,
        XDG_CACHE_HOME=f"{home}/.cache",
        XDG_CONFIG_HOME=f"{home}/.config",
        XDG_DATA_HOME=f"{home}/.local/share",
        AIRFLOW_HOME=f"{home}/airflow",
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Puts the environment back and removes the home."""
    if _home in config.stash:
        os.environ.clear()
        os.environ.update(config.stash[_before])
        shutil.rmtree(config.stash[_home], ignore_errors=True)


@pytest.fixture(autouse=True)
def _same_process_afterwards() -> Iterator[None]:
    """A test that leaves another working directory or environment behind would change the next one."""
    folder, environment = Path.cwd(), dict(os.environ)
    yield
    os.chdir(folder)
    if dict(os.environ) != environment:
        os.environ.clear()
        os.environ.update(environment)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the figures that tests reported, whichever process they ran in."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    passed = [report for report in reports if getattr(report, "when", "") == "call"]
    figures = [str(value) for report in passed for name, value in report.user_properties if name == "figure"]
    if figures:
        terminalreporter.section("figures")
        terminalreporter.write_line("\n".join(figures))
