"""Compute targets that are Databricks workspaces."""

from __future__ import annotations

import pytest

from refrain.compute.kinds import check, kind
from refrain.compute.target import Target
from refrain.errors import DatabricksRefusedError, StepFailedError, UserError
from refrain.storage.state import WorkspaceState
from refrain.testing.databricks.task import TaskEnd


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"token": "x"}, r"there is no setting 'token'\. Known: "),
        ({"poll_seconds": 0}, r"poll_seconds must be more than 0, not 0\."),
        ({"upload_path": "s3://a"}, r"upload_path 's3://a' must be a folder on DBFS"),
        ({"upload_path": "dbfs:/"}, r"upload_path 'dbfs:/' must be a folder"),
        ({"shares_files": "yes"}, r"the setting 'shares_files' must be of type bool, not 'yes'\."),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(UserError, match=f"Compute target 'db': {message}"):
        check(Target("db", "databricks", settings))


def test_a_target_is_tried_from_end_to_end_and_nothing_is_left(server, tmp_path):
    target = Target("db", "databricks", {"existing_cluster_id": server.cluster_id, "poll_seconds": 0.1})
    said = list(kind("databricks").examine(target, WorkspaceState(tmp_path)))
    assert said[0].startswith(f"{server.url} accepts the connection 'databricks_default'")
    assert said[1] == "a script was uploaded to dbfs:/refrain"
    assert said[2].startswith(f"it was run, and its output arrived: {server.url}/?o=1#job/")
    assert [path for path in server.files.dbfs.rglob("*") if path.is_file()] == []


def test_a_target_without_a_cluster_is_tried_as_far_as_it_goes(server, tmp_path):
    said = list(kind("databricks").examine(Target("db", "databricks"), WorkspaceState(tmp_path)))
    assert said[-1].startswith("no run was tried: the target has neither an existing_cluster_id nor a cluster")


def test_the_first_thing_that_does_not_work_is_told(server, tmp_path):
    target = Target("db", "databricks", {"existing_cluster_id": "0-0", "poll_seconds": 0.1})
    with pytest.raises(DatabricksRefusedError, match="Cluster 0-0 does not exist"):
        list(kind("databricks").examine(target, WorkspaceState(tmp_path)))
    server.runs.end_next(TaskEnd("TERMINATED", "FAILED", "LIBRARY_INSTALLATION_ERROR", "No such library"))
    target = Target("db", "databricks", {"existing_cluster_id": server.cluster_id, "poll_seconds": 0.1})
    with pytest.raises(StepFailedError, match=r"failed: No such library\. A library could not be installed"):
        list(kind("databricks").examine(target, WorkspaceState(tmp_path)))
