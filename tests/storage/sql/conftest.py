"""Databases of the tests."""

from __future__ import annotations

from fakes.database_servers import bench, mariadb, mysql_bench, postgres, postgresql_bench, sqlite_bench

__all__ = ["bench", "mariadb", "mysql_bench", "postgres", "postgresql_bench", "sqlite_bench"]
