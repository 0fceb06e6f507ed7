"""A cluster of two workers of Dask's, and a bench whose runs have their nodes there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.dask_cluster import DaskCluster, dask_cluster
from fakes.parallel_bench import ParallelBench


@pytest.fixture(scope="module")
def started() -> Iterator[DaskCluster]:
    pytest.importorskip("distributed")
    with dask_cluster() as made:
        yield made


@pytest.fixture
def cluster(started: DaskCluster) -> DaskCluster:
    """Two nodes, whatever a test before has done to them."""
    while sum(worker.poll() is None for worker in started.workers) < 2:
        started.add_worker()
    started.await_workers()
    return started


@pytest.fixture
def bench(cluster: DaskCluster, tmp_path: Path) -> ParallelBench:
    made = ParallelBench(tmp_path)
    made.settings = {"refrain_node_count": 2}
    made.more_environment = {"REFRAIN_NODES": cluster.order()}
    return made
