from __future__ import annotations

from pathlib import Path

import pytest

from refrain import AmlCompute, ComputeTarget, ComputeTargetException, DatabricksCompute, SynapseCompute, Workspace
from refrain.compute.target import Target, TargetTable
from refrain.errors import UserError


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def _as_notebooks_do(workspace: Workspace, name: str) -> ComputeTarget:
    try:
        return ComputeTarget(workspace=workspace, name=name)
    except ComputeTargetException:
        config = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", min_nodes=1, max_nodes=4)
        target = ComputeTarget.create(workspace, name, config)
        target.wait_for_completion(show_output=True, min_node_count=None, timeout_in_minutes=20)
        return target


def test_a_notebook_finds_a_cluster_or_creates_it(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    created = _as_notebooks_do(workspace, "cpu-cluster")
    found = _as_notebooks_do(workspace, "cpu-cluster")

    assert capsys.readouterr().out == "Succeeded\n"
    assert type(found) is AmlCompute is type(created)
    assert (found.name, found.type) == ("cpu-cluster", "AmlCompute")
    assert found.scale_settings.maximum_node_count == 4
    assert found.get_status().serialize()["currentNodeCount"] == 1
    assert found.provisioning_state == "Succeeded"
    assert list(workspace.compute_targets) == ["cpu-cluster"]


def test_creating_a_cluster_again_keeps_where_the_platform_lets_it_run(workspace: Workspace) -> None:
    table = TargetTable(workspace.state.registry)
    table.put(Target("cpu-cluster", "local", {}, queue="cpu"))

    ComputeTarget.create(workspace, "cpu-cluster", AmlCompute.provisioning_configuration("STANDARD_D2_V2"))

    assert table.get("cpu-cluster").queue == "cpu"


def test_what_the_platform_has_decided_is_not_replaced_by_a_notebook(workspace: Workspace) -> None:
    TargetTable(workspace.state.registry).put(Target("cpu-cluster", "databricks"))

    with pytest.raises(ComputeTargetException, match="'cpu-cluster' is there, of the kind 'databricks'"):
        ComputeTarget.create(workspace, "cpu-cluster", AmlCompute.provisioning_configuration())
    with pytest.raises(ComputeTargetException, match="of the kind 'databricks', not of AmlCompute"):
        AmlCompute(workspace, "cpu-cluster")


def test_attaching_again_keeps_what_the_platform_has_set(workspace: Workspace) -> None:
    table = TargetTable(workspace.state.registry)
    table.put(Target("pool", "spark", {"master": "spark://cluster:7077", "pool_name": "old"}))

    made = ComputeTarget.attach(
        workspace, "pool", SynapseCompute.attach_configuration("synapse", "SynapseSpark", "large")
    )

    assert (type(made), made.type) == (SynapseCompute, "SynapseSpark")
    assert made.settings == {"master": "spark://cluster:7077", "linked_service": "synapse", "pool_name": "large"}
    assert type(SynapseCompute(workspace, "pool")) is SynapseCompute
    with pytest.raises(UserError, match="type must be 'SynapseSpark', not 'Databricks'"):
        SynapseCompute.attach_configuration("synapse", "Databricks", "large")


def test_the_remarks_of_a_cluster_are_updated(workspace: Workspace) -> None:
    _as_notebooks_do(workspace, "cpu-cluster")
    cluster = AmlCompute(workspace, "cpu-cluster")
    cluster.update(max_nodes=8)
    assert (cluster.scale_settings.minimum_node_count, cluster.scale_settings.maximum_node_count) == (1, 8)
    assert cluster.settings["vm_size"] == "STANDARD_D2_V2"
    with pytest.raises(UserError, match="min_nodes 9 and max_nodes 8 are no range"):
        cluster.update(min_nodes=9)


def test_a_missing_target_is_told_with_those_that_are_there(workspace: Workspace) -> None:
    _as_notebooks_do(workspace, "cpu-cluster")

    with pytest.raises(ComputeTargetException, match=r"There is no compute target 'gpu'. Known: cpu-cluster\."):
        ComputeTarget(workspace, "gpu")


def test_a_deleted_target_is_gone(workspace: Workspace) -> None:
    _as_notebooks_do(workspace, "cpu-cluster").delete()

    assert ComputeTarget.list(workspace) == []


def test_options_without_a_meaning_here_are_named(workspace: Workspace) -> None:
    with pytest.warns(UserWarning, match="admin_username, subnet_name has no meaning here"):
        AmlCompute.provisioning_configuration("S", subnet_name="net", admin_username="me", location=None)


@pytest.mark.parametrize(("least", "most"), [(3, 2), (-1, 2)])
def test_a_range_of_nodes_that_is_none_is_refused(least: int, most: int) -> None:
    with pytest.raises(UserError, match=f"min_nodes {least} and max_nodes {most} are no range"):
        AmlCompute.provisioning_configuration("S", min_nodes=least, max_nodes=most)


def test_something_else_than_a_configuration_is_refused(workspace: Workspace) -> None:
    with pytest.raises(UserError, match="'big' is no configuration of a compute target"):
        ComputeTarget.create(workspace, "cpu-cluster", "big")  # type: ignore[arg-type]


def test_a_databricks_workspace_is_attached_and_its_token_is_not_stored(workspace: Workspace) -> None:
    with pytest.warns(UserWarning, match="the access_token is not stored. Put it into the Airflow connection 'lab'"):
        wanted = DatabricksCompute.attach_configuration("group", "space", access_token="dapi-secret", conn_id="lab")
    made = ComputeTarget.attach(workspace, "db", wanted)
    assert type(made) is DatabricksCompute
    assert made.settings == {"conn_id": "lab", "resource_group": "group", "workspace_name": "space"}
    assert made.get_credentials() == {"databricksConnectionId": "lab"}
    assert DatabricksCompute(workspace, "db").type == "Databricks"
    with pytest.raises(ComputeTargetException, match="is of the kind 'databricks', not of AmlCompute"):
        AmlCompute(workspace, "db")


def test_a_resource_id_names_group_and_workspace() -> None:
    resource = "/subscriptions/s/resourceGroups/group/providers/Microsoft.Databricks/workspaces/space"
    wanted = DatabricksCompute.attach_configuration(resource_id=resource)
    assert wanted.settings == {"resource_group": "group", "workspace_name": "space"}
