"""Sharing: which steps of a pipeline run again together, because they have one source directory."""

from __future__ import annotations

import os
from collections import defaultdict

from refrain.errors import known
from refrain.steps.command import Literal
from refrain.steps.definition import PipelineDefinition, StepDefinition


def shared_sources(definition: PipelineDefinition) -> dict[str, str]:
    """Return a warning for each source that several scripts share, by the key of the first step that has it.

    Steps of one script with other arguments are no such case: whatever changes in their source concerns all of them.
    """
    groups: dict[str, list[StepDefinition]] = defaultdict(list)
    for step in definition.steps:
        source = step.source.directory or step.source.snapshot
        if source is not None and step.source.counted is None:
            groups[source].append(step)
    return {
        steps[0].key: _warning(source, steps)
        for source, steps in groups.items()
        if len({_script(s) for s in steps}) > 1
    }


def _script(step: StepDefinition) -> str:
    """Return the first text of a command line, behind the interpreter."""
    return next((token.text for token in step.command if isinstance(token, Literal)), step.key)


def _warning(source: str, steps: list[StepDefinition]) -> str:
    place = f"the source directory {source!r}" if os.path.isabs(source) else "one source directory"
    return (
        f"Steps {known(step.name for step in steps)} share {place}: a change of any file in it makes all of them run "
        "again. Give each a directory of its own, or hash_mode='imports'."
    )
