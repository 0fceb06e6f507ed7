"""A project to run, and many processes that do the same at one moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.disks import small_disk
from fakes.processes import race
from fakes.project import Project

__all__ = ["race", "small_disk"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
