"""Fixtures of databases: one server of each kind for a session, one database for a test."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from fakes.databases import Bench, location
from fakes.mariadb import MariaServer
from fakes.postgres import PostgresServer
from refrain.storage.sql.database import Database

PRODUCTS = ["sqlite", "postgresql", "mysql"]
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer.start() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaServer]:
    with MariaServer.start() as server:
        yield server


@pytest.fixture
def sqlite_bench(tmp_path: Path) -> Bench:
    path = tmp_path / "sales.db"

    def run(*statements: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            return [connection.execute(statement).fetchall() for statement in statements][-1]

    run("PRAGMA journal_mode = WAL")
    return Bench("sqlite", Database(location(f"sqlite:///{path}")), run)


@pytest.fixture
def postgresql_bench(postgres: PostgresServer) -> Bench:
    url = postgres.create(f"test{next(_numbers)}")

    def run(*statements: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    return Bench("postgresql", Database(location(url)), run)


@pytest.fixture
def mysql_bench(mariadb: MariaServer, monkeypatch: pytest.MonkeyPatch) -> Bench:
    name = f"test{next(_numbers)}"
    url = mariadb.create(name)
    monkeypatch.setenv("AIRFLOW_CONN_MARIA", mariadb.connection())

    def run(*statements: str) -> list[tuple[Any, ...]]:
        return mariadb.execute(*statements, database=name)

    return Bench("mysql", Database(location(url, "maria")), run)


MARKS = {"sqlite": (), "postgresql": (pytest.mark.postgres,), "mysql": (pytest.mark.mariadb,)}


@pytest.fixture(params=[pytest.param(name, marks=MARKS[name]) for name in PRODUCTS])
def bench(request: pytest.FixtureRequest) -> Bench:
    """Each kind of database in turn."""
    made: Bench = request.getfixturevalue(f"{request.param}_bench")
    return made
