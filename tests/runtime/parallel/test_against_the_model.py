"""Random sequences of outcomes, limits and tries: the real dispatcher must come to what the model predicts."""

from __future__ import annotations

import pytest

from fakes.parallel_bench import ParallelBench
from runtime.parallel.trials import try_attempts, try_many_workers, try_one_worker


@pytest.mark.parametrize("seed", range(12))
def test_one_worker_does_what_the_model_says(bench: ParallelBench, seed: int) -> None:
    try_one_worker(bench, seed)


@pytest.mark.parametrize("seed", range(100, 104))
def test_three_workers_come_to_the_same_result(bench: ParallelBench, seed: int) -> None:
    try_many_workers(bench, seed, process_count_per_node=3)


@pytest.mark.parametrize("seed", range(200, 204))
def test_no_attempt_is_made_that_the_tries_do_not_allow(bench: ParallelBench, seed: int) -> None:
    try_attempts(bench, seed, process_count_per_node=2)
