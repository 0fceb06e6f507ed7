"""One real Airflow for all acceptance tests: started once, given DAG files by the tests, stopped at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.running_airflow import RunningAirflow, running
from fakes.postgres import PostgresServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder is an acceptance test; they share an Airflow, and run one after the other.

    Whichever comes first waits for its start, and each waits longer for a run than other tests may take.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.acceptance)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAirflow]:
    """An Airflow on SQLite, for the whole session."""
    yield from running(tmp_path_factory.mktemp("airflow"))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server, for the whole session; skips, with the reason, where it has no programs."""
    with PostgresServer.start() as server:
        yield server
