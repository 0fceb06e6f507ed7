"""Foreign: what a step runs that is in no snapshot, because it is kept by another system, and what it is now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

from refrain.compute.computes import Computes
from refrain.errors import RefrainError
from refrain.extensions import load_object
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


def is_foreign_unchanged(preimage: Mapping[str, Any] | None, step: StepDefinition, computes: Computes) -> bool:
    """Say whether what is kept elsewhere is still what a fingerprint counted."""
    counted = (preimage or {}).get("foreign", {})
    try:
        return not counted or foreign(step, computes) == counted
    except RefrainError:
        return False
