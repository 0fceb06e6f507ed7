"""A reference model of a parallel run: one list of outcomes after the other, by the words of the contract.

It shares nothing with the code that it is compared with: one worker, no queue, no process, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fakes.parallel_bench import Counts

FAULTS = ("raise", "hang", "exit", "segfault", "quit")
"""What ends an attempt, so that there is another one."""
RETURNS = {"ok": 1.0, "short": 0.5, "none": 0.0, "wrong": 0.0, "huge": 1.0}
"""What run() returns, and for which share of its items there is a result."""


@dataclass(frozen=True)
class Rules:
    """The settings that decide what may fail."""

    tries: int = 3
    error_threshold: int = -1
    failed_count: int | None = None
    failed_percent: float | None = None


@dataclass(frozen=True)
class Prediction:
    """What a parallel run must come to."""

    is_success: bool
    counts: Counts
    returned: tuple[tuple[int, int, str], ...]
    """Of each mini-batch that returned: its number, the attempt, and how."""


@dataclass
class _Books:
    """How far the prediction is."""

    rules: Rules
    batches: int
    items: int
    done: int = 0
    failed: int = 0
    pending: int = 0
    retried: int = 0
    results: int = 0
    failed_items: int = 0
    returned: list[tuple[int, int, str]] = field(default_factory=list)

    def is_too_bad(self, is_last_out: bool) -> bool:
        rules, now = self.rules, self.failed + self.pending
        too_many_items = 0 <= rules.error_threshold < self.failed_items
        too_many = rules.failed_count is not None and 0 <= rules.failed_count < now
        share = rules.failed_percent is not None and is_last_out and now / self.batches * 100 > rules.failed_percent
        return too_many_items or too_many or share

    def close(self, got: int) -> None:
        self.pending = 0
        self.done += 1
        self.results += got
        self.failed += got < self.items
        self.failed_items += self.items - got

    def ending(self, is_success: bool) -> Prediction:
        seen, failed = self.done * self.items, self.failed + self.pending
        counts = Counts(self.done, failed, self.retried, seen, self.results, self.failed_items)
        return Prediction(is_success, counts, tuple(self.returned))


def predict(plan: list[list[str]], items: int, rules: Rules) -> Prediction:
    """Predict the run of mini-batches of *items* items each, whose attempts go as *plan* says."""
    books = _Books(rules, len(plan), items)
    for batch, outcomes in enumerate(plan):
        is_last_out = batch == len(plan) - 1
        if books.is_too_bad(is_last_out):
            return books.ending(False)
        for attempt, outcome in enumerate(outcomes[: rules.tries], 1):
            if outcome in RETURNS:
                books.close(int(items * RETURNS[outcome]))
                books.returned.append((batch, attempt, outcome))
            elif attempt == rules.tries:
                books.close(0)
            else:
                books.pending, books.retried = 1, books.retried + 1
            if books.is_too_bad(is_last_out):
                return books.ending(False)
            if outcome in RETURNS:
                break
    return books.ending(True)
