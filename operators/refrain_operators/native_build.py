"""NativeBuild: lets operators in a DAG share data objects as the steps of a pipeline do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from refrain.data.ports import FromStep
from refrain.errors import PipelineError
from refrain.steps.definition import SourceCode, StepDefinition
from refrain.steps.step import PipelineStep
from refrain.steps.wiring import consumed, origin

_PRODUCERS: WeakKeyDictionary[Any, tuple[Any, str]] = WeakKeyDictionary()
"""Which operator has an object among its outputs, and under which name."""


class NativeBuild:
    """Answers what a step's ``define`` asks, for one operator in a DAG; see :class:`refrain.steps.wiring.Build`.

    Collects in ``read`` the operators that produce what the step reads, by the data objects' identity.
    """

    default_source_directory = None

    def __init__(self, key: str, default_datastore: str) -> None:
        self.key = key
        self.default_datastore = default_datastore
        self.read: dict[FromStep, Any] = {}
        self.located: dict[tuple[str, str], tuple[SourceCode, str]] = {}

    def key_of(self, step: Any) -> str:  # noqa: ARG002  # there is one step only
        """Return the operator's task id."""
        return self.key

    def producer_of(self, output: object) -> FromStep | None:
        """Return which operator's output an object is, or None when no operator before this one declared it."""
        found = _PRODUCERS.get(output)
        if found is None:
            return None
        operator, name = found
        source = FromStep(operator.task_id, name)
        self.read[source] = operator
        return source

    def producers(self, step: StepDefinition) -> dict[str, Any]:
        """Return, by input name, the operators that produce what a step reads."""
        return {port.name: self.read[port.source] for port in step.inputs if isinstance(port.source, FromStep)}


def native_build(settings: Mapping[str, Any], default_datastore: str) -> NativeBuild:
    """Return what the step of an operator with these settings is built in."""
    task_id, group = settings["task_id"], settings.get("task_group")
    return NativeBuild(group.child_id(task_id) if group else task_id, default_datastore)


def producer(item: object) -> Any:
    """Return the operator that writes what an input reads, or None when no operator before this one does."""
    found = _PRODUCERS.get(consumed(item))
    return found[0] if found else None


def declare(operator: Any, step: PipelineStep) -> None:
    """Remember an operator as the producer of its step's outputs.

    :raises PipelineError: when another operator of the DAG has one of them.
    """
    for item in (*step.outputs, *step.arguments):
        key = origin(item)
        if not any(key is produced for produced in step.produced_items()):
            continue
        known = _PRODUCERS.get(key)
        if known is not None and known[0].task_id != operator.task_id and known[0].dag is operator.dag:
            name = getattr(item, "name", item)
            raise PipelineError(
                f"The output {name!r} has two producers, {known[0].task_id!r} and {operator.task_id!r}. Give each task "
                "an output object of its own."
            )
        _PRODUCERS[key] = (operator, str(getattr(item, "output_name", None) or getattr(item, "name", "")))
