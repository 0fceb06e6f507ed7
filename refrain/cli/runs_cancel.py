"""``refrain runs cancel``: stops a run."""

from __future__ import annotations

import argparse
import time

from refrain.cli.answer import Answer
from refrain.cli.found_run import find_run
from refrain.cli.found_workspace import open_workspace
from refrain.errors import UserError
from refrain.tracking.record import RunStatus

_PATIENCE_SECONDS = 15.0  # the steps have five to end by themselves
_POLL_SECONDS = 0.05


def runs_cancel(options: argparse.Namespace) -> Answer:
    """Stop a run and wait until it has ended; nothing happens to one that has.

    :raises UserError: when a step is named: steps are not stopped one by one.
    :raises RunNotFoundError: when there is no such run.
    """
    found = find_run(open_workspace(options), options.run)
    if found.step is not None:
        raise UserError(f"A run is canceled as a whole: refrain runs cancel {options.run.partition('.')[0]}")
    run = found.run
    before = RunStatus(run.status)
    if before.is_final:
        text = f"Run {run.id} has already ended: {before.value}."
        return Answer({"run_id": run.id, "status": before.value, "canceled": False}, (text,))
    run.cancel()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not RunStatus(status := run.status).is_final and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    says = f"was stopped: {status}" if RunStatus(status).is_final else "was told to stop and has not ended yet"
    return Answer({"run_id": run.id, "status": status, "canceled": True}, (f"Run {run.id} {says}.",))
