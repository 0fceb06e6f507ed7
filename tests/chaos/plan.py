"""Plan: how much is tried, what is drawn at random, and who does it."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from chaos.lives import Fault

T = TypeVar("T")

_HANDS = 2


@dataclass(frozen=True)
class Plan:
    """How much is tried: the short form beside all other tests, or, with ``make chaos``, the long one.

    :param seed: of everything that is drawn; a case that fails names its own.
    """

    is_long: bool
    seed: int

    def of(self, short: int, long: int) -> int:
        """Return how many."""
        return long if self.is_long else short

    def spread(self, cases: Sequence[T], count: int) -> list[T]:
        """Return some of the cases in the short form, all in the long one."""
        is_few = self.is_long or len(cases) <= count
        return list(cases) if is_few else random.Random(self.seed).sample(cases, count)

    def faults(self, effects: Sequence[str], *, is_full: bool = False, most: int = 4) -> list[Fault]:
        """Return a fault at every effect; in the short form, at one of each name, for some of the names."""
        generator = random.Random(self.seed)
        names = self.spread(list(dict.fromkeys(effects)), most)
        counts = {name: effects.count(name) for name in names}
        chosen = {name: range(n) if self.is_long else [generator.randrange(n)] for name, n in counts.items()}
        return [Fault(name, number, is_full) for name, numbers in chosen.items() for number in numbers]

    def seeds(self, short: int, long: int) -> list[int]:
        """Return the seed of each case."""
        return [self.seed + number for number in range(self.of(short, long))]

    def each(self, title: str, act: Callable[[T], list[str]], cases: Iterable[T]) -> int:
        """Do each case, two at a time, show how far it is, and fail with what is wrong; return how many there were."""
        drawn = list(cases)
        done = 0
        lock = threading.Lock()

        def one(case: T) -> list[str]:
            nonlocal done
            again = f"again: make chaos SEED={case if isinstance(case, int) else self.seed}"
            wrong = [f"{case}: {fault} ({again})" for fault in act(case)]
            with lock:
                done += 1
                if self.is_long:
                    sys.stderr.write(f"\r{title}: {done} of {len(drawn)} ")
                    sys.stderr.flush()
            return wrong

        with ThreadPoolExecutor(_HANDS) as pool:
            wrong = [fault for faults in pool.map(one, drawn) for fault in faults]
        assert not wrong, "\n".join(wrong)
        return len(drawn)
