from __future__ import annotations

import json
from pathlib import Path

import pytest

from refrain.compute.computes import Computes
from refrain.compute.kinds import check
from refrain.compute.local import LocalCompute
from refrain.compute.target import THIS_MACHINE, Target, TargetTable
from refrain.errors import UnknownNameError, UserError, WorkspaceSchemaError
from refrain.storage.state import WorkspaceState


@pytest.fixture
def state(tmp_path: Path) -> WorkspaceState:
    return WorkspaceState(tmp_path / "workspace")


def test_what_was_registered_last_is_what_a_name_means(state: WorkspaceState) -> None:
    table = TargetTable(state.registry)
    table.put(Target("cpu-cluster", "local", {"max_nodes": 4}))
    table.put(Target("cpu-cluster", "local", {}, queue="cpu", pool="heavy"))

    assert table.get("cpu-cluster") == Target("cpu-cluster", "local", {}, "cpu", "heavy")
    assert table.names() == ["cpu-cluster"]


def test_a_removed_target_is_not_there_any_more(state: WorkspaceState) -> None:
    table = TargetTable(state.registry)
    table.put(Target("cpu-cluster", "local"))
    table.remove("cpu-cluster")

    assert table.find("cpu-cluster") is None
    assert table.names() == []
    with pytest.raises(UnknownNameError, match=r"Unknown compute target 'cpu-cluster'\. Known: none\."):
        table.remove("cpu-cluster")


def test_a_name_that_is_almost_right_is_suggested(state: WorkspaceState) -> None:
    table = TargetTable(state.registry)
    table.put(Target("cpu-cluster", "local"))

    with pytest.raises(UnknownNameError, match=r"Did you mean 'cpu-cluster'\?"):
        table.get("cpu-cluste")


def test_a_secret_is_refused_and_not_stored(state: WorkspaceState, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="The setting access_token of compute target 'bricks' is secret"):
        TargetTable(state.registry).put(Target("bricks", "local", {"access_token": "dapi123"}))
    assert not any(b"dapi123" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_target_of_a_newer_refrain_is_refused(state: WorkspaceState) -> None:
    state.registry.add("compute", "cpu-cluster", {"schema": 2, "kind": "local", "settings": {}})

    with pytest.raises(WorkspaceSchemaError, match="A newer Refrain registered the compute target 'cpu-cluster'"):
        TargetTable(state.registry).get("cpu-cluster")


def test_a_step_without_a_target_and_one_with_an_unknown_name_run_on_this_machine(state: WorkspaceState) -> None:
    computes = Computes(state)

    assert computes.target(None) == computes.target("nobody") == THIS_MACHINE
    assert isinstance(computes.compute("nobody"), LocalCompute)
    assert computes.compute(None) is computes.compute("nobody")
    assert computes.remark(None) == ""
    assert computes.remark("nobody") == (
        "compute target 'nobody' is not registered in the workspace, so the step runs on this machine"
    )


def test_a_name_that_is_nearly_that_of_a_target_is_pointed_at(state: WorkspaceState) -> None:
    TargetTable(state.registry).put(Target("cpu-cluster", "local"))
    assert str(Computes(state).remark("cpu-clustr")).endswith("runs on this machine. Did you mean 'cpu-cluster'?")


def test_a_registered_target_is_made_once_and_needs_no_remark(state: WorkspaceState) -> None:
    TargetTable(state.registry).put(Target("cpu-cluster", "local"))
    computes = Computes(state, 0.5)

    assert computes.compute("cpu-cluster") is computes.compute("cpu-cluster")
    assert computes.compute("cpu-cluster") is not computes.compute(None)
    assert computes.remark("cpu-cluster") == ""


def test_a_target_of_a_kind_that_is_not_installed_here_does_not_run_elsewhere(state: WorkspaceState) -> None:
    TargetTable(state.registry).put(Target("cpu-cluster", "slurm"))

    with pytest.raises(UnknownNameError, match="Unknown kind of compute target 'slurm'"):
        Computes(state).compute("cpu-cluster")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_node": 3}, "Compute target 'c': there is no setting 'max_node'. .* Did you mean 'max_nodes'?"),
        ({"max_nodes": "3"}, "Compute target 'c': the setting 'max_nodes' must be of type int, not '3'."),
        ({"max_nodes": True}, "Compute target 'c': the setting 'max_nodes' must be of type int, not True."),
    ],
)
def test_a_setting_that_the_kind_does_not_have_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(Target("c", "local", settings))


def test_the_record_says_its_schema(state: WorkspaceState, tmp_path: Path) -> None:
    TargetTable(state.registry).put(Target("cpu-cluster", "local", {"max_nodes": 4}))

    record = json.loads((tmp_path / "workspace" / "registry" / "compute" / "cpu-cluster" / "1").read_text())
    assert record == {"schema": 1, "kind": "local", "settings": {"max_nodes": 4}}
