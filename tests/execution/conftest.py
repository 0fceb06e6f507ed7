"""A project to run, and many processes that do the same at one moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.database_servers import bench, mariadb, mysql_bench, postgres, postgresql_bench, sqlite_bench
from fakes.disks import small_disk
from fakes.processes import race
from fakes.project import Project

__all__ = ["bench", "mariadb", "mysql_bench", "postgres", "postgresql_bench", "race", "small_disk", "sqlite_bench"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
