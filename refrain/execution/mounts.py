"""Mounts: what must be true, when a step has ended, of the inputs that it read in place."""

from __future__ import annotations

from collections.abc import Sequence

from refrain.errors import DataError, InputChangedError
from refrain.execution.stage import Stage
from refrain.storage.cache import written_to


def require_mounts_intact(stage: Stage, step_name: str, faults: Sequence[str]) -> None:
    """Refuse the result of a step that wrote to this machine's copy of its input, which other steps read too.

    :param faults: what of its inputs the step was not given when it read it, whatever it made of that.
    :raises DataError: when there are any.
    :raises InputChangedError: when it wrote; the copy is fetched anew by the next step that needs it.
    """
    if faults:
        raise DataError(f"Step {step_name!r} was not given all of its input. {faults[0]}")
    path = written_to(stage.mounts)
    if path is not None:
        raise InputChangedError(
            f"Step {step_name!r} changed its input at {path!r}, which other steps share. Write to a declared output "
            "instead, or take the input with as_download()."
        )
