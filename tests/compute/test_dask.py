"""What a compute target of the kind `dask` says of its cluster, and how it is tried."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.dask_cluster import DaskCluster, dask_cluster
from refrain.compute.dask import settings_of
from refrain.compute.dask_kind import DaskKind
from refrain.compute.kinds import check, kind
from refrain.compute.target import Target
from refrain.errors import StepFailedError, UserError
from refrain.storage.state import WorkspaceState


@pytest.mark.parametrize(
    "settings",
    [
        {"scheduler": "tcp://host:8786"},
        {"scheduler": "tcp://[::1]:8786", "resources": {"MACHINE": 1}, "start_seconds": 5, "lost_seconds": 1.5},
        {"scheduler": "tls://10.0.0.1:8786", "certificates": "/etc/dask", "python": "/opt/python/bin/python"},
    ],
)
def test_a_target_is_a_scheduler_and_how_to_reach_it(settings: dict[str, Any]) -> None:
    check(Target("cluster", "dask", settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "the setting 'scheduler' is missing: the address of Dask's scheduler, as tcp://host:8786"),
        ({"scheduler": "host:8786"}, "the setting 'scheduler' 'host:8786' is no address of Dask's scheduler, such as"),
        ({"scheduler": "tls://h:1"}, "do not go together: tls:// needs certificates, and tcp:// uses none"),
        ({"scheduler": "tcp://h:1", "certificates": "/c"}, "do not go together: tls:// needs certificates"),
        ({"scheduler": "tls://h:1", "certificates": "c"}, "'certificates' must be an absolute path, not 'c'"),
        ({"scheduler": "tcp://h:1", "python": "python3"}, "'python' must be an absolute path, not 'python3'"),
        ({"scheduler": "tcp://h:1", "lost_seconds": 0}, "'lost_seconds' must be a number of seconds above 0, not 0"),
        ({"scheduler": "tcp://h:1", "resources": {"GPU": "1"}}, "'resources' must hold numbers above 0, not '1' for"),
        ({"scheduler": "tcp://h:1", "nodes": 2}, "there is no setting 'nodes'"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=r"^Compute target 'cluster': ") as raised:
        check(Target("cluster", "dask", settings))
    assert message in str(raised.value)


def test_a_parallel_run_finds_in_its_environment_where_its_nodes_are() -> None:
    settings = {"scheduler": "tls://h:1", "certificates": "/etc/dask", "lost_seconds": 5, "description": "ours"}
    told = json.loads(settings_of(Target("cluster", "dask", settings)).variables("cluster")["REFRAIN_NODES"])
    assert told == {
        "target": "cluster", "scheduler": "tls://h:1", "launcher": sys.executable, "lost_seconds": 5,
        "certificates": ["/etc/dask/ca.pem", "/etc/dask/cert.pem", "/etc/dask/key.pem"],
    }  # fmt: skip


@pytest.fixture(scope="module")
def cluster() -> Iterator[DaskCluster]:
    pytest.importorskip("distributed")
    with dask_cluster(workers=1) as made:
        yield made


@pytest.mark.slow
def test_each_thing_that_works_is_told(cluster: DaskCluster, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    target = Target("cluster", "dask", {"scheduler": cluster.address})
    found = list(kind("dask").examine(target, WorkspaceState(root)))
    assert found[0].startswith(f"Dask's scheduler {cluster.address} placed a host on ")
    assert found[1] == f"it has this interpreter's packages, and shares {root}"
    assert found[2].startswith("mini-batches were run there, in ")
    assert list(root.iterdir()) == []


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_is_told(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    target = Target("cluster", "dask", {"scheduler": "tcp://127.0.0.1:9"})
    with pytest.raises(StepFailedError, match=r"Compute target 'cluster': a parallel run on tcp://127.0.0.1:9 did not"):
        list(DaskKind().examine(target, WorkspaceState(tmp_path / "workspace")))
