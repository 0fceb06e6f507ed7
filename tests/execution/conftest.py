"""A project to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.database_servers import bench, mariadb, mysql_bench, postgres, postgresql_bench, sqlite_bench
from fakes.disks import small_disk
from fakes.project import Project

__all__ = ["bench", "mariadb", "mysql_bench", "postgres", "postgresql_bench", "small_disk", "sqlite_bench"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
