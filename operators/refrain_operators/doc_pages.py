"""Doc pages: what Airflow shows behind the Docs buttons of a pipeline's DAG and of its tasks, in Markdown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from refrain.data.ports import FromParameter, FromStep, Source
from refrain.steps.command import (
    InputPath,
    Interpreter,
    Literal,
    OutputPath,
    ParameterValue,
    Setting,
    SparkSubmit,
    Token,
    UnfinishedPath,
)
from refrain.steps.definition import PipelineDefinition, StepDefinition

FORCE_PARAM = "regenerate_outputs"
"""A run's param of this name makes steps run whatever could be reused: true all, a list those that it names."""

_REUSE = """\
To run every step, whatever could be reused, trigger the DAG with **{force}**; to run some, give it a list of
steps as JSON. A task that is cleared decides again, and so may be reused.

A step is reused when nothing that its result depends on has changed: its files, its command line, its parameters, the
bytes of its inputs and its environment. The log of its task begins with what was decided, and why; the details of a
reused task have a button that leads to the task that made the result. A task that did not even have to start is shown
as skipped; the reason is in the log of the planning task in front.
"""
PLAN_PAGE = """\
Decides which steps are reused, before any of them starts, and skips their tasks; its log has a line for each. A step
behind one that runs decides for itself. Clear this task together with those behind it to plan again.
"""
"""The page of a planning task."""


def dag_page(definition: PipelineDefinition) -> str:
    """Return the page of a pipeline: its steps, and how they are reused."""
    steps = [f"{number}. {_summary(step)}" for number, step in enumerate(definition.steps, start=1)]
    parts = [definition.description, _REUSE.format(force=_plain(FORCE_PARAM)), "\n".join(steps)]
    return "\n\n".join(filter(None, parts)) + "\n"  # a text that ends with ".md" would be taken for a file's name


def task_page(step: StepDefinition) -> str:
    """Return the page of a step: its command line, its inputs and its outputs."""
    command = " ".join(" ".join(_shown(token) for token in step.command).splitlines())
    lines = [f"    {command}", ""] if command else [f"A step of the kind {_plain(step.kind)}, without a process.", ""]
    lines += [f"- reads {_plain(port.name)}{_whose(port.source)}" for port in step.inputs]
    for output in step.outputs:
        kept = f", registered as {_plain(output.registration.name)}" if output.registration else ""
        lines.append(f"- writes {_plain(output.name)}{kept}")
    lines += [] if step.allow_reuse else ["- never reused"]
    return "\n".join(lines) + "\n"


def parameters_of(step: StepDefinition) -> set[str]:
    """Return the names of the pipeline parameters that a step uses."""
    tokens = [*step.command, *(token for _, token in step.parameters)]
    named = {port.source.name for port in step.inputs if isinstance(port.source, FromParameter)}
    return named | {token.name for token in tokens if isinstance(token, ParameterValue)}


def _shown(token: Token) -> str:
    if isinstance(token, Literal | Setting):
        return shlex.quote(token.text)
    if isinstance(token, Interpreter):
        return "python"
    if isinstance(token, SparkSubmit):
        return "spark-submit"
    if isinstance(token, UnfinishedPath):
        return "{unfinished}"
    kind = {InputPath: "input", OutputPath: "output", ParameterValue: "parameter"}[type(token)]
    return f"{{{kind}:{token.name}}}"


def _summary(step: StepDefinition) -> str:
    parts = {
        "reads": [port.name for port in step.inputs],
        "writes": [port.name for port in step.outputs],
        "uses": sorted(parameters_of(step)),
    }
    return f"**{_plain(step.name)}**" + ",".join(f" {does} {_listed(names)}" for does, names in parts.items() if names)


def _whose(source: Source) -> str:
    if isinstance(source, FromStep):
        return f", written by {_plain(source.step)}"
    return f", named by {_plain(source.name)}" if isinstance(source, FromParameter) else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_plain, names))


def _plain(name: str) -> str:
    """Return a name as Markdown shows it unchanged; Airflow's Docs dialogs let marked-up code overlap."""
    return re.sub(r"([\\`*_{}\[\]()#+.!|<>~-])", r"\\\1", " ".join(name.split()))
