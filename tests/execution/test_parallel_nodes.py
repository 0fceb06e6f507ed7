"""Parallel runs by the engine, on a cluster that a compute target names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from execution.test_parallel_runs import SCORE, Scoring
from fakes.dask_cluster import DaskCluster, dask_cluster
from fakes.project import Project
from refrain.compute.target import Target, TargetTable

pytestmark = pytest.mark.slow

# One node may have done all the work before the other one is there: each waits for the other.
BOTH = f"""{SCORE}
    def init():
        import time
        (folder / f"worker-{{os.getpid()}}").touch()
        given_up = time.monotonic() + 50
        while len(list(folder.glob("worker-*"))) < 2 and time.monotonic() < given_up:
            time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[DaskCluster]:
    pytest.importorskip("distributed")
    with dask_cluster() as made:
        yield made


@pytest.fixture
def scoring(project: Project, cluster: DaskCluster) -> Scoring:
    targets = TargetTable(project.state.registry)
    targets.put(Target("cluster", "dask", {"scheduler": cluster.address}))
    return Scoring(project)


def test_a_step_that_names_a_cluster_runs_on_its_nodes_and_is_reused_anywhere(scoring: Scoring) -> None:
    on_nodes = scoring.step(BOTH, compute_target="cluster", node_count=2)
    first = scoring.run(on_nodes)
    assert (first.status, scoring.rows(first)) == ("Completed", scoring.names)
    assert sorted(scoring.runs()) == scoring.names
    log = "\n".join(first.heard.lines)
    assert "2 nodes of compute target 'cluster'" in log
    assert "Node 001 is " in log
    assert scoring.run(scoring.step(BOTH)).reused() == ["score"]
    assert scoring.unfinished() == []
    assert scoring.project.leftovers() == []


def test_a_step_that_failed_on_nodes_goes_on_on_this_machine(scoring: Scoring) -> None:
    (scoring.notes / "bad").touch()
    assert scoring.run(scoring.step(compute_target="cluster", node_count=2)).status == "Failed"
    done = set(scoring.runs())
    (scoring.notes / "bad").unlink()
    again = scoring.run()
    assert (again.status, scoring.rows(again)) == ("Completed", scoring.names)
    assert 0 < len(scoring.runs()) < len(scoring.names)
    assert done
