"""Force: which steps run although an earlier result could be reused."""

from __future__ import annotations

from collections.abc import Iterable

from refrain.errors import UnknownNameError, UserError
from refrain.steps.definition import PipelineDefinition
from refrain.values import dataclass

WITH_FOLLOWERS = "+"
"""Behind a step's name: that step and everything after it, as in ``train+``."""

Wanted = bool | str | Iterable[str]
"""What a user says: everything or nothing, or steps by their keys or names, each with ``+`` behind it or not."""


@dataclass(frozen=True)
class Force:
    """Which steps are forced. ``everything`` rules over ``steps`` (keys)."""

    everything: bool = False
    steps: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, definition: PipelineDefinition, wanted: Wanted) -> Force:
        """Return what a user's words mean in a pipeline.

        :raises UserError: for anything but words.
        :raises UnknownNameError: for a step that is not there, or a name that several steps have.
        """
        if isinstance(wanted, bool):
            return cls(everything=wanted)
        words = [wanted] if isinstance(wanted, str) else wanted
        if not isinstance(words, Iterable):
            raise UserError(f"Steps to force are given as True, False or a list of step names, not as {wanted!r}.")
        return cls(steps=frozenset().union(*(_covered(definition, word) for word in words)))

    def covers(self, key: str) -> bool:
        """Say whether a step is forced."""
        return self.everything or key in self.steps


NONE_FORCED = Force()
"""Every step is reused that can be."""


def _covered(definition: PipelineDefinition, word: object) -> set[str]:
    if not isinstance(word, str):
        raise UserError(f"A step to force is given by its name, not as {word!r}.")
    try:
        return {definition.step(word).key}  # first, because a name may end with the sign
    except UnknownNameError:
        if not word.endswith(WITH_FOLLOWERS) or word == WITH_FOLLOWERS:
            raise
    covered = {definition.step(word.removesuffix(WITH_FOLLOWERS)).key}
    for step in definition.steps:  # in running order, so that one pass finds everything
        if step.upstream & covered:
            covered.add(step.key)
    return covered
