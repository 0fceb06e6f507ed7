"""PipelineStep: what users declare, until a pipeline turns it into a definition."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.data_path import BoundPath, is_pair
from refrain.data.models.reference import ModelReference
from refrain.data.names import numbered
from refrain.data.output_config import OutputDatasetConfig
from refrain.data.parameters import PipelineParameter
from refrain.data.pipeline_data import Origin, PipelineData
from refrain.data.pipeline_output import PipelineOutputAbstractDataset
from refrain.errors import PipelineError, UserError
from refrain.steps.definition import SourceCode, StepDefinition
from refrain.steps.wiring import Build, consumed, origin, output_name, parameter_of


class PipelineStep(ABC):
    """A step: a name, what it reads and what it writes. Everything but :meth:`run_after` is fixed at construction.

    A dataset input, a model or an output that becomes a dataset that stands in the arguments alone is added to
    ``inputs`` or ``outputs`` (Azure ML's rule).
    """

    def __init__(
        self, name: str, inputs: Sequence[Any] | None, outputs: Sequence[Any] | None, arguments: Sequence[Any] | None
    ) -> None:
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"A step needs a name, not {name!r}.")
        self.name = name
        pairs: dict[tuple[int, int], BoundPath] = {}
        self.arguments = _with_pairs(_listed(name, "arguments", arguments), pairs)
        written = _listed(name, "outputs", outputs)
        read = (
            *_with_pairs(_listed(name, "inputs", inputs), pairs),
            *_implied(self.arguments, {id(origin(item)) for item in written}),
        )
        self.inputs = tuple({id(item): item for item in read}.values())
        self.outputs = self._with_implied(written)
        self.predecessors: list[PipelineStep] = []
        self._declare_outputs()

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

    def predecessor_keys(self, build: Build) -> tuple[str, ...]:
        """Return the keys of the steps that :meth:`run_after` was called with, each once."""
        return tuple(dict.fromkeys(build.key_of(step) for step in self.predecessors))

    def produced_items(self) -> list[object]:
        """Return the objects by which this step's outputs are known."""
        return list({id(origin(item)): origin(item) for item in self.outputs}.values())

    def consumed_items(self) -> list[object]:
        """Return the outputs of other steps that this step reads."""
        return [item for item in map(consumed, self.inputs) if item is not None]

    def parameters(self) -> list[PipelineParameter]:
        """Return the pipeline parameters that this step uses."""
        read = (parameter_of(item) for item in self.inputs)
        values = (item for item in self.arguments if isinstance(item, PipelineParameter))
        return [*values, *(parameter for parameter in read if parameter is not None)]

    def _with_implied(self, outputs: tuple[Any, ...]) -> tuple[Any, ...]:
        known = {id(item) for item in (*map(origin, outputs), *map(consumed, self.inputs))}
        implied = {id(a.origin): a for a in self.arguments if isinstance(a, OutputDatasetConfig)}
        return (*outputs, *(item for key, item in implied.items() if key not in known))

    def _declare_outputs(self) -> None:
        names = numbered([output_name(item) for item in self.outputs], "output")
        for item, name in zip(map(origin, self.outputs), names, strict=True):
            if isinstance(item, Origin):
                item.producer, item.name = self, name
        for output in self.outputs:
            if isinstance(output, (PipelineData, PipelineOutputAbstractDataset)):
                output.origin.is_promoted = isinstance(output, PipelineOutputAbstractDataset)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


def locate_source(step_name: str, source_directory: str | os.PathLike[str] | None, build: Build) -> str:
    """Return a step's source directory: its own, else the pipeline's, else the current one.

    :raises PipelineError: when it does not exist.
    """
    directory = os.path.abspath(os.path.expanduser(source_directory or build.default_source_directory or os.curdir))
    if not os.path.isdir(directory):
        raise PipelineError(f"Step {step_name!r}: the source_directory {directory!r} does not exist.")
    return directory


def locate_script(
    step_name: str, script_name: str, source_directory: str | os.PathLike[str] | None, build: Build
) -> tuple[SourceCode, str]:
    """Find a script's directory, as :func:`locate_source`, and its path in it.

    :raises PipelineError: when the directory is missing or the script is not in it.
    """
    given = (os.fspath(source_directory or ""), script_name)
    if given not in build.located:  # the steps of a long pipeline often have one script
        build.located[given] = _located(step_name, script_name, locate_source(step_name, source_directory, build))
    return build.located[given]


def _located(step_name: str, script_name: str, directory: str) -> tuple[SourceCode, str]:
    path = os.path.normpath(script_name)
    if os.path.isabs(path) or path.startswith(os.pardir):  # it may lead back into the directory
        path = os.path.relpath(os.path.join(directory, path), directory)
    if path.split(os.sep)[0] == os.pardir or not os.path.isfile(os.path.join(directory, path)):
        raise PipelineError(
            f"Step {step_name!r}: the script {script_name!r} is not in the source_directory {directory!r}. "
            "script_name is relative to it."
        )
    # Python would take a leading "-" for an option.
    return SourceCode(directory=directory), f"./{path}" if path.startswith("-") else path


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
    if not isinstance(items, (list, tuple)):
        raise UserError(f"Step {name!r}: {what} must be a list, not {items!r}.")
    return tuple(items)


def _implied(arguments: tuple[Any, ...], written: set[int]) -> list[Any]:
    """Return the dataset inputs and models among the arguments; a dataset may also be what the step writes."""
    kinds = (DatasetConsumptionConfig, ModelReference, PipelineOutputAbstractDataset)
    return [item for item in arguments if isinstance(item, kinds) and id(origin(item)) not in written]


def _with_pairs(items: tuple[Any, ...], known: dict[tuple[int, int], BoundPath]) -> tuple[Any, ...]:
    """Make one input of each pair of a data path and its binding, however often the user wrote it."""

    def bound(pair: tuple[Any, Any]) -> BoundPath:
        return known.setdefault((id(pair[0]), id(pair[1])), BoundPath.of(pair))

    return tuple(bound(item) if is_pair(item) else item for item in items)
