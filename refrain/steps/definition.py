"""Definitions: a step and a pipeline as plain immutable values that can be stored as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from functools import cached_property
from heapq import heappop, heappush
from typing import Any

from refrain.data.data_value import DataValue
from refrain.data.parameters import PipelineParameter
from refrain.data.ports import FromDatabase, FromDatastore, FromFiles, FromStep, InputPort, OutputPort
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import PipelineError, UnknownNameError, UserError, did_you_mean, known
from refrain.steps.codec import decode, encode
from refrain.steps.command import Token
from refrain.values import dataclass

SCHEMA = 1


@dataclass(frozen=True)
class Counted:
    """Which files of a source count in the fingerprint; all of them still run.

    :param script: count this script and what it imports; None means all files.
    :param include: patterns, as in an ``.amlignore``, of what counts besides.
    :param exclude: patterns of what does not count, whatever else is said.
    """

    script: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceCode:
    """Where a step's files come from: a directory, or a stored snapshot's digest once it is frozen.

    :param counted: None means that every file counts.
    """

    directory: str | None = None
    snapshot: str | None = None
    counted: Counted | None = None

    @property
    def whole(self) -> SourceCode:
        """The same files, all of which count."""
        return replace(self, counted=None) if self.counted else self


NO_SOURCE = SourceCode()
"""The source of a step that runs no code of its user's."""


@dataclass(frozen=True)
class StepDefinition:
    """All that is needed to run a step, but for its parameters' values and its inputs' data.

    :param key: unique in the pipeline; also the Airflow task id.
    :param kind: the registered kind of step.
    :param parameters: environment variables ``AML_PARAMETER_<name>`` and what they hold.
    :param after: keys of the steps that come first without handing data over.
    :param version: the user's own mark; part of the fingerprint.
    :param compute: a compute target's name; None means this machine.
    """

    key: str
    name: str
    kind: str
    source: SourceCode
    command: tuple[Token, ...]
    inputs: tuple[InputPort, ...] = ()
    outputs: tuple[OutputPort, ...] = ()
    parameters: tuple[tuple[str, Token], ...] = ()
    environment: EnvironmentSpec = field(default_factory=EnvironmentSpec)
    allow_reuse: bool = True
    after: tuple[str, ...] = ()
    compute: str | None = None
    version: str | None = None

    @cached_property
    def upstream(self) -> frozenset[str]:
        """The keys of all steps that must have completed before this one."""
        produced = {port.source.step for port in self.inputs if isinstance(port.source, FromStep)}
        return frozenset(produced | set(self.after))

    def output(self, name: str) -> OutputPort:
        """Return the output called *name*.

        :raises UnknownNameError: when there is none.
        """
        for port in self.outputs:
            if port.name == name:
                return port
        names = [port.name for port in self.outputs]
        raise UnknownNameError(f"Step {self.name!r} has no output {name!r}. Known: {known(names)}.")


@dataclass(frozen=True)
class PipelineDefinition:
    """A pipeline: steps in an order in which they can run, and its parameters.

    :param outputs: names of pipeline outputs, each with the step and the output it stands for.
    """

    name: str
    steps: tuple[StepDefinition, ...]
    parameters: tuple[PipelineParameter, ...] = ()
    outputs: tuple[tuple[str, FromStep], ...] = ()
    description: str = ""

    @property
    def declared(self) -> dict[str, PipelineParameter]:
        """The parameters by name."""
        return {parameter.name: parameter for parameter in self.parameters}

    @property
    def named_outputs(self) -> dict[str, tuple[str, str]]:
        """The step key and the output name behind each named output of the pipeline."""
        return {name: (output.step, output.output) for name, output in self.outputs}

    @property
    def datastores(self) -> frozenset[str]:
        """The names of all datastores that steps read from or write to."""
        written = {port.datastore for step in self.steps for port in step.outputs}
        defaults = [parameter.default_value for parameter in self.parameters]
        sources = [port.source for step in self.steps for port in step.inputs]
        sources += [value.source for value in defaults if isinstance(value, DataValue)]
        read = {source.datastore for source in sources if isinstance(source, FromDatastore | FromDatabase)}
        files = {name for source in sources if isinstance(source, FromFiles) for name, _ in source.locations if name}
        return frozenset(written | read | files)

    def step(self, key_or_name: str) -> StepDefinition:
        """Return a step by its key or, where that is unambiguous, by its name.

        :raises UnknownNameError: when no step or more than one fits.
        """
        found = [s for s in self.steps if s.key == key_or_name] or [s for s in self.steps if s.name == key_or_name]
        if len(found) == 1:
            return found[0]
        keys = [s.key for s in self.steps]
        if found:
            several = known(s.key for s in found)
            raise UnknownNameError(f"{len(found)} steps are called {key_or_name!r}; use one of the keys {several}.")
        raise UnknownNameError(
            f"There is no step {key_or_name!r}. Known: {known(keys)}.{did_you_mean(key_or_name, keys)}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the definition as JSON values."""
        return {"schema": SCHEMA, **encode(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> PipelineDefinition:
        """Read a definition back.

        :raises UserError: when it is of a newer schema or not a definition.
        """
        schema = document.get("schema") if isinstance(document, Mapping) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise UserError(
                f"The pipeline definition has schema {schema}, this Refrain reads up to {SCHEMA}; upgrade Refrain."
            )
        if schema != SCHEMA:
            raise UserError("This is no pipeline definition: it has no schema number.")
        try:
            return decode(cls, {k: v for k, v in document.items() if k != "schema"})
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"This is no pipeline definition: {error!r}.") from error


def in_running_order(steps: tuple[StepDefinition, ...]) -> tuple[StepDefinition, ...]:
    """Sort steps so that each comes after all that it waits for; otherwise their order is kept.

    :raises PipelineError: when steps wait for each other in a circle.
    """
    places = {step.key: place for place, step in enumerate(steps)}
    waits_for = [{places[key] for key in step.upstream if key in places} for step in steps]
    followers: dict[int, list[int]] = {}
    for place, awaited in enumerate(waits_for):
        for other in awaited:
            followers.setdefault(other, []).append(place)
    ready = [place for place, awaited in enumerate(waits_for) if not awaited]  # ascending, so it is a heap
    done: list[int] = []
    while ready:
        done.append(heappop(ready))
        for follower in followers.get(done[-1], ()):
            waits_for[follower].discard(done[-1])
            if not waits_for[follower]:
                heappush(ready, follower)
    if len(done) < len(steps):
        circle = (steps[place].name for place in _circle(waits_for))
        raise PipelineError(f"Cycle detected, each of these steps waits for the next: {' → '.join(circle)}.")
    return tuple(steps[place] for place in done)


def _circle(waits_for: list[set[int]]) -> list[int]:
    """Follow places that still wait for another one, until one comes round again."""
    path: list[int] = []
    place = next(place for place, awaited in enumerate(waits_for) if awaited)
    while place not in path:
        path.append(place)
        place = min(waits_for[place])
    return [*path[path.index(place) :], place]


def freeze(definition: PipelineDefinition, snapshots: Mapping[str, str]) -> PipelineDefinition:
    """Return the definition with each step's source directory replaced by its snapshot's digest, given by step key."""
    steps = (
        replace(s, source=SourceCode(snapshot=snapshots[s.key], counted=s.source.counted)) for s in definition.steps
    )
    return replace(definition, steps=tuple(steps))
