"""A project to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.disks import small_disk
from fakes.project import Project

__all__ = ["small_disk"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
