"""``refrain runs log``: what a step printed."""

from __future__ import annotations

import argparse

from refrain.cli.answer import Answer
from refrain.cli.found_run import find_run
from refrain.cli.found_workspace import open_workspace
from refrain.errors import UserError, known
from refrain.pipelines.documents import log_path


def runs_log(options: argparse.Namespace) -> Answer:
    """Print a step's output; of a reused step, that of the run which made the result.

    :raises UserError: when no step is named and the run has several.
    :raises RunNotFoundError: when there is no such run.
    """
    found = find_run(open_workspace(options), options.run)
    step = found.step
    if step is None:
        steps = list(found.run.get_steps())
        if len(steps) != 1:
            keys = known(step.record.key for step in steps)
            raise UserError(f"Whose output? Add a dot and a step to {options.run!r}: {keys}.")
        step = steps[0]
    text = step.get_stdout_log()
    document = {"run_id": step.id, "path": log_path(step.record, step.store), "log": text}
    return Answer(document, (text.removesuffix("\n"),))
