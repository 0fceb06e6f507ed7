"""PipelineStep: what users declare, until a pipeline turns it into a definition."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.output_config import OutputFileDatasetConfig
from refrain.data.pipeline_data import Origin
from refrain.data.parameters import PipelineParameter
from refrain.errors import PipelineError, UserError
from refrain.steps.definition import SourceCode, StepDefinition
from refrain.steps.wiring import Build, consumed, origin


class PipelineStep(ABC):
    """A step: a name, what it reads and what it writes. Everything but :meth:`run_after` is fixed at construction."""

    def __init__(
        self, name: str, inputs: Sequence[Any] | None, outputs: Sequence[Any] | None, arguments: Sequence[Any] | None
    ) -> None:
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"A step needs a name, not {name!r}.")
        self.name = name
        self.inputs = _listed(name, "inputs", inputs)
        self.outputs = _listed(name, "outputs", outputs)
        self.arguments = _listed(name, "arguments", arguments)
        self.predecessors: list[PipelineStep] = []
        for item in self.produced_items():
            if isinstance(item, Origin):
                item.producers.append(self)

    def run_after(self, step: PipelineStep) -> None:
        """Make this step wait for *step* without reading anything from it; call it before the pipeline is built.

        :raises UserError: when *step* is this step, or no step.
        """
        if not isinstance(step, PipelineStep) or step is self:
            raise UserError(f"Step {self.name!r}: run_after needs another step, not {step!r}.")
        self.predecessors.append(step)

    @abstractmethod
    def define(self, build: Build) -> StepDefinition:
        """Return the step as an immutable definition within a pipeline.

        :raises PipelineError: when its parts do not fit together.
        """

    def produced_items(self) -> list[object]:
        """Return the objects by which this step's outputs are known."""
        read = {id(origin(item)) for item in self.inputs}
        implied = [a for a in self.arguments if isinstance(a, OutputFileDatasetConfig) and id(a.origin) not in read]
        return list({id(origin(item)): origin(item) for item in (*self.outputs, *implied)}.values())

    def consumed_items(self) -> list[object]:
        """Return the outputs of other steps that this step reads."""
        implied = [item for item in self.arguments if isinstance(item, DatasetConsumptionConfig)]
        return [item for item in map(consumed, (*self.inputs, *implied)) if item is not None]

    def parameters(self) -> list[PipelineParameter]:
        """Return the pipeline parameters that this step uses."""
        return [item for item in self.arguments if isinstance(item, PipelineParameter)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


def source_code(step_name: str, script_name: str, source_directory: str | None, build: Build) -> SourceCode:
    """Find a script's directory: the step's, else the pipeline's, else the current one.

    :raises PipelineError: when the directory is missing or the script is not in it.
    """
    directory = os.path.abspath(os.path.expanduser(source_directory or build.default_source_directory or os.curdir))
    if not os.path.isdir(directory):
        raise PipelineError(f"Step {step_name!r}: the source_directory {directory!r} does not exist.")
    path = os.path.normpath(os.path.join(directory, script_name))
    if not path.startswith(directory + os.sep) or not os.path.isfile(path):
        raise PipelineError(
            f"Step {step_name!r}: the script {script_name!r} is not in the source_directory {directory!r}. "
            "script_name is relative to it."
        )
    return SourceCode(directory=directory)


def compute_name(step_name: str, compute_target: Any) -> str | None:
    """Return a compute target's name: it may be given as a name, a ``(name, type)`` pair or an object with a name.

    :raises UserError: for anything else.
    """
    if isinstance(compute_target, tuple) and compute_target:
        compute_target = compute_target[0]
    name = getattr(compute_target, "name", compute_target)
    if name is None or isinstance(name, str):
        return name
    raise UserError(f"Step {step_name!r}: {compute_target!r} is no compute target; give its name.")


def _listed(name: str, what: str, items: Any) -> tuple[Any, ...]:
    if items is None:
        return ()
    if isinstance(items, (str, bytes)) or not hasattr(items, "__iter__"):
        raise UserError(f"Step {name!r}: {what} must be a list, not {items!r}.")
    return tuple(items)
