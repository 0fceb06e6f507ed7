"""MappedStep: a step between ``partial(…)`` and ``expand(…)``."""

from __future__ import annotations

from typing import Any

from airflow.sdk.definitions.mappedoperator import MappedOperator, OperatorPartial

from refrain_operators.gathered import Gathered
from refrain_operators.native_build import producer


class MappedStep(OperatorPartial):
    """Orders a mapped step behind the operators whose data it reads, as a plain one is.

    Airflow makes a mapped operator when it runs, which is too late for that. Data that ``inputs`` of ``expand`` would
    name is not seen: give ``inputs`` to ``partial``.
    """

    def _expand(self, expand_input: Any, *, strict: bool) -> MappedOperator:
        mapped = super()._expand(expand_input, strict=strict)
        for item in self.kwargs.get("inputs") or ():
            operator = item.operator if isinstance(item, Gathered) else producer(item)
            if operator is not None:
                operator.set_downstream(mapped)
        return mapped
