"""A workspace with its datastores, for data objects."""

from pathlib import Path

import pytest

from fakes.disks import small_disk
from fakes.processes import race, unprivileged
from refrain.data.datastore import Datastore
from refrain.pipelines.workspace import Workspace

__all__ = ["race", "small_disk", "unprivileged"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "ws")


@pytest.fixture
def store(workspace: Workspace) -> Datastore:
    return Datastore(workspace)
