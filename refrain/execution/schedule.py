"""Schedule: which steps may start, and which may start once another has completed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from refrain.steps.definition import StepDefinition


class Schedule:
    """Counts for each step how many of the steps before it have yet to complete."""

    def __init__(self, steps: Iterable[StepDefinition], done: Collection[str] = ()) -> None:
        """Plan *steps*, in the order in which those that are ready together shall start.

        :param done: keys of steps that need not run.
        """
        self._steps = tuple(steps)
        self._missing = {step.key: len(step.upstream.difference(done)) for step in self._steps}
        self._followers: dict[str, list[StepDefinition]] = defaultdict(list)
        for step in self._steps:
            for key in step.upstream:
                self._followers[key].append(step)

    def first(self) -> list[StepDefinition]:
        """Return the steps that wait for no other."""
        return [step for step in self._steps if not self._missing[step.key]]

    def after(self, completed: StepDefinition) -> list[StepDefinition]:
        """Note that a step has completed, and return the steps that waited for nothing else; call it once per step."""
        ready = []
        for step in self._followers[completed.key]:
            self._missing[step.key] -= 1
            if self._missing[step.key] == 0:
                ready.append(step)
        return ready
