"""What runs logged, read from the file of events that their scripts appended to.

One file belongs to one run of a step. It speaks of three kinds of runs: the step's own, the pipeline run above it
(each of its steps has a part of that), and child runs that the script made.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

from refrain.runtime import events as lines
from refrain.runtime.logged import Logged

Scalar = bool | int | float | str | None


@dataclass(frozen=True)
class Event:
    """One thing that a script said.

    ``time`` is in Unix seconds; ``run`` is ``""`` for the step's own run, ``".."`` for the pipeline run, otherwise the
    id of a child run; ``fields`` depend on ``kind``.
    """

    time: float
    run: str
    kind: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """A line that could not be read and was skipped; ``offset`` is in bytes from the start of the file."""

    path: Path
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}, byte {self.offset}: {self.reason}"


@dataclass(frozen=True)
class Tail:
    """What was appended to a file of events since the last look; ``offset`` is where the next look begins."""

    events: tuple[Event, ...]
    offset: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Point:
    """One value of a metric, with the step that the script gave, if any."""

    time: float
    value: Scalar
    step: int | None


@dataclass(frozen=True)
class Document:
    """A confusion matrix or another document: its ``type`` and the artifact that holds its JSON."""

    type: str
    artifact: str


@dataclass(frozen=True)
class RunLog:
    """What one run logged.

    ``metrics`` are values as ``get_metrics`` gives them; ``series`` are the points of those with single values,
    ``tables`` the rows of tables. ``images`` are artifacts by metric. ``children`` are names by run id, oldest first.
    ``status`` is None unless the run is a child; ``error`` is what a failed child left.
    """

    run_id: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    series: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    tables: Mapping[str, tuple[Mapping[str, Scalar], ...]] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    documents: Mapping[str, Document] = field(default_factory=dict)
    tags: Mapping[str, str | None] = field(default_factory=dict)
    properties: Mapping[str, str | None] = field(default_factory=dict)
    children: Mapping[str, str] = field(default_factory=dict)
    artifacts: tuple[str, ...] = ()
    display_name: str | None = None
    description: str | None = None
    status: str | None = None
    started: float | None = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Labels:
    """The tags and properties that a run had before its script started."""

    tags: Mapping[str, str | None] = field(default_factory=dict)
    properties: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class StepLog:
    """What the script of one step logged: for its own run, and for its child runs, by run id, at any depth."""

    own: RunLog
    children: Mapping[str, RunLog]
    problems: tuple[Problem, ...]


def tail_events(path: str | os.PathLike[str], offset: int = 0) -> Tail:
    """Read what was appended after byte *offset*; a missing file has no events yet.

    A last line whose end has not been written yet is left for the next look.
    """
    batch, position, unreadable = lines.read(os.fspath(path), offset)
    return Tail(
        events=tuple(_event(event) for event in batch),
        offset=position,
        problems=_problems(path, unreadable),
    )


def read_step_log(path: str | os.PathLike[str], run_id: str, labels: Labels | None = None) -> StepLog:
    """Read what a step's script logged for its own run, *run_id*, and for its child runs.

    :param labels: what the run was started with, which its script may have changed.
    """
    batch, _, unreadable = lines.read(os.fspath(path))
    said: dict[str, list[dict[str, Any]]] = {}
    for event in batch:
        said.setdefault(event["run"], []).append(event)
    ids = dict.fromkeys(event["id"] for event in batch if event["kind"] == "child")
    return StepLog(
        own=_run_log(_started(run_id, labels), said.get(lines.OWN, [])),
        children={child: _run_log(Logged(child), said.get(child, [])) for child in ids},
        problems=_problems(path, unreadable),
    )


def read_pipeline_log(paths: Iterable[str | os.PathLike[str]], run_id: str, labels: Labels | None = None) -> RunLog:
    """Read what the steps with the event files *paths* logged for the pipeline run above them, in order of time."""
    merged = [event for path in paths for event in lines.read(os.fspath(path))[0] if event["run"] == lines.PARENT]
    merged.sort(key=itemgetter("t"))
    return _run_log(_started(run_id, labels), merged)


def _event(event: dict[str, Any]) -> Event:
    fields = {name: value for name, value in event.items() if name not in {"v", "t", "run", "kind"}}
    return Event(event["t"], event["run"], event["kind"], fields)


def _problems(path: str | os.PathLike[str], unreadable: list[tuple[int, str]]) -> tuple[Problem, ...]:
    return tuple(Problem(Path(path), offset, reason) for offset, reason in unreadable)


def _started(run_id: str, labels: Labels | None) -> Logged:
    given = labels or Labels()
    return Logged(run_id, given.tags, given.properties)


def _run_log(logged: Logged, batch: Iterable[dict[str, Any]]) -> RunLog:
    metrics = logged.apply(batch).metrics
    return RunLog(
        run_id=logged.run_id,
        metrics=logged.get_metrics(),
        series={name: tuple(Point(t, v, s) for t, s, v in m.points) for name, m in metrics.items() if m.points},
        tables={name: tuple(m.rows) for name, m in metrics.items() if m.rows},
        descriptions={name: m.description for name, m in metrics.items() if m.description},
        images={name: tuple(artifacts) for name, artifacts in logged.images.items()},
        documents={name: Document(*document) for name, document in logged.documents.items()},
        tags=logged.tags,
        properties=logged.properties,
        children=logged.children,
        artifacts=tuple(logged.artifacts),
        display_name=logged.display.get("display_name"),
        description=logged.display.get("description"),
        status=logged.status,
        started=logged.started,
        error=logged.error,
    )
