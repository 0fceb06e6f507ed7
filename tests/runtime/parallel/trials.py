"""Trials: random sequences of outcomes, limits and tries; the real dispatcher must come to what the model predicts."""

from __future__ import annotations

import json
import random
from pathlib import Path

from fakes.parallel_bench import ParallelBench
from runtime.parallel.model import FAULTS, RETURNS, Prediction, Rules, predict

ITEMS = 2
SCRIPT = """
    import ctypes, json, os, sys, time
    plan = json.load(open("plan.json"))
    def attempt(batch):
        with open(f"attempts/{batch}", "a") as file:
            file.write("x")
        return os.path.getsize(f"attempts/{batch}")
    def run(mini_batch, mini_batch_context):
        batch = mini_batch_context.minibatch_index
        number = attempt(batch)
        time.sleep(0.12)  # else the worker has two mini-batches, of which the second comes before a retry
        outcome = plan[batch][number - 1]
        rows = [f"{batch} {number} {outcome} {os.path.basename(path)}" for path in mini_batch]
        if outcome == "raise":
            raise ValueError(f"bad {batch}")
        if outcome == "hang":
            time.sleep(1000)
        if outcome == "exit":
            os._exit(3)
        if outcome == "segfault":
            ctypes.string_at(0)
        if outcome == "quit":
            sys.exit(42)
        return {"ok": rows, "huge": [row + " " + "x" * 300_000 for row in rows], "short": rows[:1], "none": None,
                "wrong": 7}[outcome]
"""
OUTCOMES = ["ok"] * 12 + ["short", "none", "wrong", "huge", "raise", "raise", "exit", "segfault", "quit"]


def random_plan(chance: random.Random) -> list[list[str]]:
    plan = [[chance.choice(OUTCOMES) for _ in range(3)] for _ in range(chance.randint(4, 10))]
    if chance.random() < 0.5:  # each costs its time
        plan[chance.randrange(len(plan))][0] = "hang"
    return plan


def random_rules(chance: random.Random) -> Rules:
    return Rules(
        chance.randint(1, 3),
        chance.choice([-1, -1, 0, 1, 3, 6]),
        chance.choice([None, None, -1, 0, 1, 2]),
        chance.choice([None, None, 0, 25, 50, 100]),
    )


def settings(rules: Rules) -> dict[str, object]:
    return {
        "run_max_try": rules.tries,
        "error_threshold": rules.error_threshold,
        "allowed_failed_count": rules.failed_count,
        "allowed_failed_percent": rules.failed_percent,
        "mini_batch_size": ITEMS,
        "run_invocation_timeout": 3,  # a mini-batch that does not hang must never be that late
    }


def prepare(bench: ParallelBench, plan: list[list[str]]) -> None:
    bench.files(len(plan) * ITEMS)
    (bench.folder / "attempts").mkdir()
    (bench.folder / "plan.json").write_text(json.dumps(plan))


def rows(predicted: Prediction) -> list[list[str]]:
    """The rows of the result, without what makes the large ones large."""
    return [
        [str(batch), str(attempt), outcome, f"f{batch * ITEMS + number:05}"]
        for batch, attempt, outcome in predicted.returned
        for number in range(int(ITEMS * RETURNS[outcome]))
    ]


def attempts(folder: Path) -> dict[int, int]:
    return {int(path.name): path.stat().st_size for path in (folder / "attempts").iterdir()}


def try_one_worker(bench: ParallelBench, seed: int) -> None:
    """One worker does what the model says."""
    chance = random.Random(seed)
    plan, rules = random_plan(chance), random_rules(chance)
    prepare(bench, plan)
    predicted = predict(plan, ITEMS, rules)
    scored = bench.run(SCRIPT, **settings(rules))
    assert (scored.code == 0, scored.counts) == (predicted.is_success, predicted.counts), scored.log
    if predicted.is_success:
        assert [row.split()[:4] for row in scored.rows] == rows(predicted)


def try_many_workers(bench: ParallelBench, seed: int, **processes: int) -> None:
    """Several workers come to the same result."""
    chance = random.Random(seed)
    plan, rules = random_plan(chance), Rules(chance.randint(1, 3), error_threshold=-1)
    prepare(bench, plan)
    predicted = predict(plan, ITEMS, rules)
    scored = bench.run(SCRIPT, **settings(rules), **processes)
    assert (scored.code, scored.counts) == (0, predicted.counts), scored.log
    assert [row.split()[:4] for row in scored.rows] == rows(predicted)


def try_attempts(bench: ParallelBench, seed: int, **processes: int) -> None:
    """No attempt is made that the tries do not allow."""
    chance = random.Random(seed)
    plan, tries = random_plan(chance), chance.randint(1, 3)
    prepare(bench, plan)
    bench.run(SCRIPT, **settings(Rules(tries)), **processes)
    expected = {}
    for batch, outcomes in enumerate(plan):
        ended = [number for number, outcome in enumerate(outcomes[:tries], 1) if outcome not in FAULTS]
        expected[batch] = ended[0] if ended else tries
    assert attempts(bench.folder) == expected
