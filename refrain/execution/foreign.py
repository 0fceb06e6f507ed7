"""Foreign: what a step runs and runs in that is in no snapshot, because it is kept elsewhere, and what it is now."""

from __future__ import annotations

from typing import Protocol, cast

from refrain.compute.computes import Computes
from refrain.environments.interpreter import NO_INTERPRETER, InterpreterIdentity
from refrain.errors import RefrainError
from refrain.extensions import load_object
from refrain.reuse.preimage import Preimage
from refrain.steps.definition import StepDefinition

_IDENTITIES = {"databricks": "refrain.execution.databricks.code:identities"}


class _Identifies(Protocol):
    def __call__(self, step: StepDefinition, computes: Computes) -> dict[str, str]: ...


def foreign(step: StepDefinition, computes: Computes) -> dict[str, str]:
    """Return the digests of what a step runs and no snapshot holds, by its place; empty for most steps.

    :raises RefrainError: when it cannot be asked for, or is not there.
    """
    if step.kind not in _IDENTITIES:
        return {}
    return cast(_Identifies, load_object(_IDENTITIES[step.kind]))(step, computes)


def interpreter_of(step: StepDefinition, computes: Computes) -> InterpreterIdentity:
    """Return what a step's process runs in; raises as :meth:`refrain.compute.job.Compute.identify`."""
    if not step.command:  # no process, so that its result is made of nothing that an interpreter has
        return NO_INTERPRETER
    return computes.compute(step.compute).identify(step.environment)


def is_as_counted(preimage: Preimage | None, step: StepDefinition, computes: Computes) -> bool:
    """Say whether what is kept elsewhere is still what a fingerprint counted."""
    if preimage is None:
        return False
    counted = preimage.get("foreign", {})
    try:
        is_same = interpreter_of(step, computes).counted.items() <= preimage["environment"].items()
        return is_same and (not counted or foreign(step, computes) == counted)
    except RefrainError:
        return False
