"""A folder in which entry scripts run on real data, by a real dispatcher."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.parallel_bench import ParallelBench


@pytest.fixture
def bench(tmp_path: Path) -> ParallelBench:
    return ParallelBench(tmp_path)
