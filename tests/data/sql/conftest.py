"""A workspace with a small database."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from refrain import Datastore


@pytest.fixture
def sql(tmp_path: Path) -> Callable[..., None]:
    """Carries out statements in the database."""

    def run(*statements: str) -> None:
        with contextlib.closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    run("CREATE TABLE sold (day TEXT, item TEXT, price REAL, count INTEGER)")
    run("INSERT INTO sold VALUES ('2020-01-01', 'pen', 1.5, 3), ('2020-01-02', 'ink', 4.0, NULL)")
    run("INSERT INTO sold VALUES ('2020-02-01', 'pen', 2.0, 1), ('2020-02-02', 'cup', NULL, 2)")
    return run


@pytest.fixture
def shop(workspace, sql, tmp_path):
    return Datastore.register_sql(workspace, "shop", f"sqlite:///{tmp_path / 'shop.db'}")
