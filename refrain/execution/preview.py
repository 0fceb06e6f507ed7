"""Preview: what a run would decide, step by step, without running anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from refrain.data.handle import DataHandle
from refrain.data.ports import FromStep
from refrain.errors import RefrainError
from refrain.reuse.decision import Decision, Verdict
from refrain.reuse.record import ReuseRecord
from refrain.steps.definition import StepDefinition

Explained = Decision | RefrainError


class Published(Protocol):
    """What has outputs: a step's result, or the earlier one that would be reused."""

    @property
    def outputs(self) -> Mapping[str, DataHandle]:
        """References by output name."""

    @property
    def made_by(self) -> str:
        """The id of the run that made the outputs."""


Ask = Callable[[StepDefinition, Mapping[str, Published]], Decision]
Recall = Callable[[str], "ReuseRecord | None"]


def preview(steps: Iterable[StepDefinition], ask: Ask, recall: Recall) -> dict[str, Explained]:
    """Return by step key what would be decided; a step whose inputs cannot be read has the error.

    A step behind one that would run is :attr:`Verdict.UNDECIDED`. What it would come to if those before it wrote what
    they wrote before is told with it; it is a forecast, and nothing relies on it.

    :param ask: decides on a step, given what the steps before it have published.
    :param recall: returns the earlier result of a fingerprint, for steps that run whatever could be reused.
    """
    decisions: dict[str, Explained] = {}
    known: dict[str, Published] = {}
    supposed: dict[str, Published] = {}
    for step in steps:
        running = sorted(step.upstream - known.keys())
        try:
            decision = ask(step, known) if not running else _forecast(step, running, ask, supposed)
        except RefrainError as error:
            decisions[step.key] = error
            continue
        decisions[step.key] = decision
        if decision.record is not None:
            known[step.key] = supposed[step.key] = decision.record
        elif (earlier := decision.nearest or recall(decision.fingerprint)) is not None:
            supposed[step.key] = earlier
    return decisions


def _forecast(step: StepDefinition, running: list[str], ask: Ask, supposed: Mapping[str, Published]) -> Decision:
    waits = f"decided when {' and '.join(running)} {'has' if len(running) == 1 else 'have'} run"
    undecided = Decision(Verdict.UNDECIDED, detail=waits)
    if not step.upstream <= supposed.keys() or not _have_outputs(step, supposed):
        return undecided
    try:
        then = ask(step, supposed)
    except RefrainError:
        return undecided
    if then.record is not None:
        text = f"{waits}; reused if that is the same as before"
        return replace(undecided, detail=text, expected=then.verdict, nearest=then.record)
    why = then.sentence().removeprefix("runs: ")
    text = f"{waits}; runs even if that is the same as before: {why}"
    return replace(undecided, detail=text, expected=then.verdict, changes=then.changes, nearest=then.nearest)


def _have_outputs(step: StepDefinition, supposed: Mapping[str, Published]) -> bool:
    """Say whether earlier results have what a step reads; the steps before it may have been other ones then."""
    sources = (port.source for port in step.inputs)
    return all(s.output in supposed[s.step].outputs for s in sources if isinstance(s, FromStep))
