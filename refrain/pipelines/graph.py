"""Graph: from a tree of steps to a pipeline's definition."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from refrain.data.parameters import PipelineParameter
from refrain.data.pipeline_data import Origin, PipelineData
from refrain.data.ports import FromStep
from refrain.errors import PipelineError
from refrain.steps.definition import PipelineDefinition, SourceCode, StepDefinition, in_running_order
from refrain.steps.sequence import StepSequence
from refrain.steps.step import PipelineStep
from refrain.steps.wiring import origin, output_name

_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_STEM = 150  # a key is part of a file's name and of an Airflow task id


@dataclass
class Graph:
    """The steps of one pipeline while it is being built; what a step's ``define`` asks is answered from here."""

    default_datastore: str
    default_source_directory: str | None
    steps: list[PipelineStep] = field(default_factory=list)
    known: set[int] = field(default_factory=set)
    order: list[tuple[PipelineStep, PipelineStep]] = field(default_factory=list)
    producers: dict[int, PipelineStep] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)
    located: dict[tuple[str, str], tuple[SourceCode, str]] = field(default_factory=dict)

    def add(self, item: Any) -> list[PipelineStep]:
        """Add an item of a ``steps`` tree and return the steps it stands for.

        :raises PipelineError: for an item of a type that is no part of a pipeline.
        """
        if isinstance(item, StepSequence):
            return self._add_sequence(item)
        if isinstance(item, (list, tuple)):
            return [step for part in item for step in self.add(part)]
        if isinstance(item, PipelineStep):
            self._add_step(item)
            return [item]
        if isinstance(item, PipelineData):
            return self._add_producer(item)
        raise PipelineError(
            f"{item!r} cannot be part of a pipeline. Give steps, lists of steps, StepSequence or PipelineData."
        )

    def close(self) -> None:
        """Pull in the producers of all that is read and the predecessors by ``run_after``, transitively."""
        position = 0
        while position < len(self.steps):
            step = self.steps[position]
            for item in step.consumed_items():
                if isinstance(item, Origin) and item.producer is not None and id(item) not in self.producers:
                    self.add(item.producer)
            for predecessor in step.predecessors:
                self.add(predecessor)
            position += 1

    def key_of(self, step: Any) -> str:
        """See :class:`refrain.steps.wiring.Build`."""
        return self.keys[id(step)]

    def producer_of(self, output: object) -> FromStep | None:
        """See :class:`refrain.steps.wiring.Build`."""
        producer = self.producers.get(id(output))
        return FromStep(self.key_of(producer), _output_name(output, producer)) if producer else None

    def define(self, name: str, description: str) -> PipelineDefinition:
        """Return the pipeline's definition.

        :raises PipelineError: a cycle, two producers of one output, parameters that contradict each other, or a step
            whose parts do not fit together.
        """
        self._assign_keys()
        after = self._order_by_key()
        defined = (step.define(self) for step in self.steps)
        steps = tuple(_waiting_for(step, after[step.key]) for step in defined)
        return PipelineDefinition(name, in_running_order(steps), self._parameters(), self._outputs(), description)

    def _add_step(self, step: PipelineStep) -> None:
        if id(step) in self.known:
            return
        self.known.add(id(step))
        for item in step.produced_items():
            other = self.producers.get(id(item))
            if other is not None:
                raise PipelineError(
                    f"The output {_output_name(item, step)!r} has two producers, {other.name!r} and {step.name!r}. "
                    "Give each step an output object of its own."
                )
            self.producers[id(item)] = step
        self.steps.append(step)

    def _add_producer(self, item: PipelineData) -> list[PipelineStep]:
        producer = self.producers.get(id(item.origin), item.origin.producer)
        if producer is None:
            raise PipelineError(
                f"PipelineData {item.name!r} stands among the steps, but no step has it as an output. Add it to the "
                "producing step's outputs=[…]."
            )
        return self.add(producer)

    def _add_sequence(self, sequence: StepSequence) -> list[PipelineStep]:
        everything: list[PipelineStep] = []
        before: list[PipelineStep] = []
        for item in sequence:
            current = self.add(item)
            self.order.extend((first, then) for first in before for then in current)
            everything.extend(current)
            before = current or before
        return everything

    def _assign_keys(self) -> None:
        taken: set[str] = set()
        for step in self.steps:
            stem = key_stem(step.name)
            key = next(k for k in _numbered(stem) if k not in taken)
            taken.add(key)
            self.keys[id(step)] = key

    def _order_by_key(self) -> dict[str, list[str]]:
        after: dict[str, list[str]] = {key: [] for key in self.keys.values()}
        for first, then in self.order:
            if first is not then:
                after[self.key_of(then)].append(self.key_of(first))
        return after

    def _parameters(self) -> tuple[PipelineParameter, ...]:
        found: dict[str, PipelineParameter] = {}
        for parameter in (p for step in self.steps for p in step.parameters()):
            known = found.setdefault(parameter.name, parameter)
            if known != parameter or type(known.default_value) is not type(parameter.default_value):
                raise PipelineError(
                    f"Two pipeline parameters are called {parameter.name!r}, {_settings(known)} and "
                    f"{_settings(parameter)}. Use one PipelineParameter object in all steps."
                )
        return tuple(found.values())

    def _outputs(self) -> tuple[tuple[str, FromStep], ...]:
        named: dict[str, FromStep] = {}
        for step in self.steps:
            for item in (item for item in step.outputs if getattr(item, "pipeline_output_name", None) is not None):
                name = item.pipeline_output_name
                if name in named:
                    raise PipelineError(f"Two outputs have the pipeline_output_name {name!r}; it must be unique.")
                named[name] = FromStep(self.key_of(step), str(output_name(item)))
        return tuple(named.items())


def _waiting_for(step: StepDefinition, keys: list[str]) -> StepDefinition:
    return replace(step, after=tuple(dict.fromkeys((*step.after, *keys)))) if keys else step


def key_stem(name: str) -> str:
    """Return a step name as a key: ``prepare data.py`` becomes ``prepare_data``."""
    return _NOT_IN_KEYS.sub("_", name.removesuffix(".py"))[:_LONGEST_STEM].strip("_") or "step"


def _numbered(stem: str) -> Iterable[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem}_{number}"
        number += 1


def _output_name(item: object, step: PipelineStep) -> str:
    return next(str(output_name(output)) for output in step.outputs if origin(output) is item)


def _settings(parameter: PipelineParameter) -> str:
    return f"with the default {parameter.default_value!r} (affects_reuse={parameter.affects_reuse})"
