"""Gathered: one output of every instance of a mapped step, as one input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from refrain.data.names import port_name
from refrain.data.ports import FromReference, InputPort
from refrain.errors import UserError


@dataclass(frozen=True, eq=False)
class Gathered:
    """The outputs of a mapped operator, for the ``inputs`` and ``arguments`` of a step behind it.

    The script gets a folder with one entry for each instance, in the order of their map indexes: ``0``, ``1``, …
    Instances that were skipped are left out and not counted.

    :param operator: what ``PythonScriptOperator.partial(…).expand(…)`` returned, or an operator in a mapped group.
    :param output: the name of the output.
    :param name: the name of the input; None means the output's.
    :raises UserError: for an invalid name, or an object that is no operator.
    """

    operator: Any
    output: str
    name: str | None = None

    def __post_init__(self) -> None:
        if not hasattr(self.operator, "task_id"):
            raise UserError(f"Gathered needs an operator, not {self.operator!r}.")
        if self.name is None:
            object.__setattr__(self, "name", self.output)
        port_name(self.name, "a gathered input")

    def port(self) -> InputPort:
        """Return the input that this makes."""
        return InputPort(str(self.name), FromReference(f"{self.operator.task_id}.{self.output}"))
