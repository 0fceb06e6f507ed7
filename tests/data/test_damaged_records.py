"""What is registered in a workspace, and is damaged so that it is still JSON, is named by whatever reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refrain import Workspace
from refrain.compute.target import TargetTable
from refrain.data.models.record import ModelVersions
from refrain.data.registered import DatasetVersions
from refrain.errors import CorruptObjectError
from refrain.reuse.verification import verification
from refrain.storage.identity import data_identity
from refrain.storage.retention import retention
from refrain.storage.state import WorkspaceState

READERS: dict[tuple[str, str], Callable[[WorkspaceState], Any]] = {
    ("settings", "retention"): lambda state: retention(state.registry),
    ("settings", "verification"): lambda state: verification(state.registry),
    ("settings", "data-identity"): lambda state: data_identity(state.registry),
    ("datastores", "x"): lambda state: state.datastores.find("x"),
    ("default-datastore", "name"): lambda state: state.datastores.default(),
    ("compute", "x"): lambda state: TargetTable(state.registry).get("x"),
    ("datasets", "x"): lambda state: DatasetVersions(state.registry).get("x", 1),
    ("dataset-labels", "x"): lambda state: DatasetVersions(state.registry).labels("x", 1),
    ("dataset-ids", "x"): lambda state: DatasetVersions(state.registry).find("x"),
    ("models", "x"): lambda state: ModelVersions(state.registry).get("x", 1),
    ("model-labels", "x"): lambda state: ModelVersions(state.registry).last_taken("x"),
}


@pytest.mark.parametrize("record", [{}, {"schema": "1", "version": [], "share": {}, "value": 7}])
@pytest.mark.parametrize(("kind", "name"), READERS)
def test_a_record_that_misses_something_is_named(tmp_path: Path, kind: str, name: str, record: dict[str, Any]) -> None:
    state = Workspace(tmp_path).state
    state.registry.add(kind, name, record)
    with pytest.raises(CorruptObjectError, match=f"The record 'registry/{kind}/{name}/1' of the workspace is damaged"):
        READERS[kind, name](state)
