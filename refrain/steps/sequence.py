"""StepSequence: steps one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


class StepSequence:
    """Items of which each starts when everything in the item before has ended.

    An item is a step, a list or a sequence.
    """

    def __init__(self, steps: Sequence[Any] | None = None) -> None:
        self._steps = tuple(steps or ())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._steps)
