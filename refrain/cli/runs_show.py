"""``refrain runs show``: all that is known of one run, or of one of its steps."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from refrain.cli.answer import Answer
from refrain.cli.found_run import FoundRun, find_run
from refrain.cli.found_workspace import open_workspace
from refrain.cli.runs_list import moment
from refrain.data.handle import DataHandle
from refrain.errors import DataError
from refrain.execution.duration import duration
from refrain.execution.packages import PYTHON, packages_of
from refrain.execution.sizes import size_text
from refrain.execution.summary import STEP_COLUMNS
from refrain.execution.table import Column, render
from refrain.pipelines.documents import NOT_RUN, REUSED, document_of, status_of, step_document
from refrain.pipelines.run import PipelineRun, StepRun
from refrain.tracking.run_id import short_id

_MODELS = (Column("MODEL"), Column("VERSION", is_number=True), Column("ASKED FOR"), Column("HOW"))
_OUTPUTS = (
    Column("STEP"),
    Column("OUTPUT"),
    Column("FILES", is_number=True),
    Column("SIZE", is_number=True),
    Column("PATH"),
)
_METRICS = (Column("STEP"), Column("METRIC"), Column("VALUE"))
_MOST_VALUES = 8
_MOST_PACKAGES = 30


def runs_show(options: argparse.Namespace) -> Answer:
    """Show a pipeline run, or one step run.

    :raises RunNotFoundError: when there is no such run.
    """
    found = find_run(open_workspace(options), options.run)
    if found.step is not None:
        document = _step_run(found.run, found.step)
        return Answer(document, tuple(_step_lines(document)))
    document = _pipeline_run(found)
    return Answer(document, tuple(_run_lines(document)))


def _pipeline_run(found: FoundRun) -> dict[str, Any]:
    run = found.run
    document = document_of(run)
    metrics = {step.record.key: dict(step.logged().metrics) for step in run.get_steps()}
    for step in document["steps"]:
        step["metrics"] = metrics.get(step["key"], {})
    return {**document, "metrics": dict(run.logged().metrics), "tags": run.tags, "properties": run.properties}


def _step_run(run: PipelineRun, step: StepRun) -> dict[str, Any]:
    record = step.record
    logged = step.logged()
    return {
        "pipeline": record.pipeline,
        "experiment": record.experiment,
        **step_document(record, step.store, status_of(run.record)),
        "fingerprint": record.fingerprint,
        "snapshot": record.snapshot,
        "metrics": dict(logged.metrics),
        "tags": step.tags,
        "properties": step.properties,
        "files": step.get_file_names(),
        "models": [dict(use) for use in record.models],
        "python": record.properties.get(PYTHON, ""),
        "packages": packages_of(record.properties, step.state),
    }


def _run_lines(run: Mapping[str, Any]) -> Iterator[str]:
    states = ", ".join(f"{count} {state}" for state, count in run["states"].items())
    yield from _facts(
        ("Run", run["run_id"]),
        ("Pipeline", run["pipeline"]),
        ("Experiment", run["experiment"]),
        ("Status", f"{run['status']}{_lasted(run)}"),
        ("Started", moment(run["started"])),
        ("Steps", f"{states}; {duration(run['seconds_saved'])} saved" if run["seconds_saved"] else states),
        ("Parameters", _pairs(run["parameters"])),
        ("Tags", _pairs(run["tags"])),
        ("Metrics", _pairs(run["metrics"])),
    )
    yield from _section(render(STEP_COLUMNS, map(_step_row, run["steps"])))
    yield from _section(render(_METRICS, (row for step in run["steps"] for row in _metric_rows(step))))
    yield from _section(render(_OUTPUTS, (row for step in run["steps"] for row in _output_rows(step))))
    if run["error"]:
        yield from ("", run["error"])
    failed = [step["key"] for step in run["steps"] if step["state"] == "failed"]
    if failed:
        yield from ("", f"Look further: refrain runs show {short_id(run['run_id'])}.{failed[0]}")


def _step_lines(step: Mapping[str, Any]) -> Iterator[str]:
    yield from _facts(
        ("Step run", step["run_id"]),
        ("Step", step["name"]),
        ("Pipeline", step["pipeline"]),
        ("State", f"{step['state']}{_lasted(step)}"),
        ("Started", moment(step["started"])),
        ("Decision", step["sentence"]),
        ("Reused from", step["reused_from"] or ""),
        ("Parameters", _pairs(step["parameters"])),
        ("Tags", _pairs(step["tags"])),
        ("Fingerprint", step["fingerprint"]),
        ("Python", step["python"]),
        ("Packages", _packages(step["packages"])),
        ("Log", step["log"] or ""),
    )
    yield from _section(render(_METRICS[1:], (row[1:] for row in _metric_rows(step))))
    yield from _section(render(_OUTPUTS[1:], (row[1:] for row in _output_rows(step))))
    yield from _section(render(_MODELS, map(_model_row, step["models"])))
    yield from _section(["FILES", *step["files"]] if step["files"] else [])
    if step["error"]:
        yield from ("", step["error"])


def _model_row(use: Mapping[str, Any]) -> tuple[str, ...]:
    return use["name"] or "(all)", str(use["version"] or ""), str(use["asked"]), use["how"]


def _packages(packages: tuple[str, ...] | None) -> str:
    """Name the packages of an environment of the step's own, which are few, and count those of a large one."""
    if packages is None:
        return ""
    return ", ".join(packages) if len(packages) <= _MOST_PACKAGES else f"{len(packages)} (all of them with --json)"


def _facts(*facts: tuple[str, str]) -> Iterator[str]:
    width = max(len(name) for name, _ in facts)
    yield from (f"{name:<{width}}  {value}" for name, value in facts if value)


def _section(lines: list[str]) -> Iterator[str]:
    if len(lines) > 1:
        yield from ("", *lines)


def _lasted(run: Mapping[str, Any]) -> str:
    return "" if run["seconds"] is None else f", {duration(run['seconds'])}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_shown(value)}" for name, value in values.items())


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and len(value) > _MOST_VALUES:
        return f"{', '.join(map(_shown, value[:_MOST_VALUES]))}, … ({len(value)} values)"
    return ", ".join(map(_shown, value)) if isinstance(value, list) else str(value)


def _step_row(step: Mapping[str, Any]) -> tuple[str, ...]:
    if step["state"] == NOT_RUN:
        return (step["key"], NOT_RUN, "", "", "", "")
    is_reused = step["state"] == REUSED
    return (
        step["key"],
        step["state"],
        "" if step["seconds"] is None else duration(step["seconds"]),
        duration(step["seconds_saved"]) if is_reused else "",
        short_id(step["reused_from"] or ""),
        "" if is_reused else step["sentence"].removeprefix("runs: "),
    )


def _metric_rows(step: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, value in step.get("metrics", {}).items():
        yield step["key"], name, _shown(value)


def _output_rows(step: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, stored in step.get("outputs", {}).items():
        try:
            handle = DataHandle.from_json(stored)
        except DataError as error:
            yield step["key"], name, "", "", str(error)
            continue
        yield step["key"], name, str(handle.files), size_text(handle.bytes), handle.location
