"""Run records: what is known of a pipeline run or a step run, kept under ``runs/`` in the workspace.

::

    runs/<root id>/run.json                 a pipeline run
    runs/<root id>/steps/<key>.<n>/run.json    a step run
    runs/<root id>/reused/<random>          notes: the records of many steps that the run reuses, in one object

A step that was reused has no files of its own, so that its record need not be an object of its own either.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, fields, replace
from enum import Enum
from typing import Any, TypeVar

from refrain.errors import CorruptObjectError, RunNotFoundError, WorkspaceError
from refrain.storage.digest import digest_bytes
from refrain.storage.retry import in_parallel
from refrain.storage.sealed import is_sealed, sealed, unsealed
from refrain.storage.state import WorkspaceState
from refrain.tracking.run_files import RunFiles
from refrain.tracking.run_id import StepRunId, run_folder
from refrain.values import dataclass

T = TypeVar("T")

SCHEMA = 2  # 1 had no checksum, and no notes
RECORD_FILE = "run.json"
REUSED_FOLDER = "reused"
TAGS_FOLDER = "tags"
CANCEL_FILE = "cancel"
SETTLED_FOLDER = "settled"


class RunStatus(str, Enum):
    """The words of Azure ML's run history that can occur here."""

    NOT_STARTED = "NotStarted"
    QUEUED = "Queued"
    PREPARING = "Preparing"
    RUNNING = "Running"
    FINALIZING = "Finalizing"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def is_final(self) -> bool:
        """Say whether nothing more will happen."""
        return self in (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELED)


@dataclass(frozen=True)
class RunRecord:
    """One run. Times are in seconds since the epoch.

    :param name: the pipeline's or the step's name.
    :param key: the step's key; empty for a pipeline run.
    :param reused_from: id of the step run whose result stands for this one's.
    :param seconds_saved: how long that run took.
    :param decision: see :meth:`refrain.reuse.decision.Decision.to_json`.
    :param outputs: references by output name, see :meth:`refrain.data.handle.DataHandle.to_json`.
    :param datasets: definitions of what a step ``read``, by input name, and ``wrote``, by output name; see
        :mod:`refrain.execution.lineage`.
    :param registered: by output name, the dataset version that it became: ``{"name", "version"}``.
    :param models: what the step had to do with registered models, see :class:`refrain.data.models.use.ModelUse`.
    :param tags: given at the start or later by :meth:`RunStore.set_tags`; those that a script set are in its events.
    :param origin: where the run was started: ``{"kind": "local", "host", "process", …}`` or ``{"kind": "airflow", …}``.
    :param steps: the keys of a pipeline run's steps.
    :param pipeline_outputs: of a pipeline run, the ``(step key, output name)`` behind each named output.
    """

    run_id: str
    name: str
    pipeline: str
    experiment: str
    status: RunStatus = RunStatus.NOT_STARTED
    key: str = ""
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    snapshot: str = ""
    decision: Mapping[str, Any] = field(default_factory=dict)
    reused_from: str | None = None
    seconds_saved: float = 0.0
    outputs: Mapping[str, Any] = field(default_factory=dict)
    datasets: Mapping[str, Any] = field(default_factory=dict)
    registered: Mapping[str, Any] = field(default_factory=dict)
    models: Sequence[Mapping[str, Any]] = ()
    error: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    pipeline_outputs: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def made_by(self) -> str:
        """The id of the run that made the result: an earlier one, if that was reused."""
        return self.reused_from or self.run_id

    @property
    def root_id(self) -> str:
        """The id of the pipeline run that this run is or belongs to."""
        return self.run_id.split(".", 1)[0]

    @property
    def seconds(self) -> float:
        """How long it has taken so far, in seconds."""
        return 0.0 if self.started is None else (self.ended or time.time()) - self.started


class RunStore:
    """The ``runs/`` part of a workspace."""

    def __init__(self, state: WorkspaceState) -> None:
        """Keep the records in *state*."""
        self._state = state
        self._notes: dict[str, dict[str, RunRecord]] = {}

    def folder(self, run_id: str) -> str:
        """Return the folder of a run on this machine; raises as :func:`run_folder`.

        It holds the run's files where the workspace is a folder, or while the run goes on here.
        """
        return str(self._state.root / run_folder(run_id))

    def files(self, run_id: str) -> RunFiles:
        """Return the files of a run; raises as :func:`run_folder`."""
        return RunFiles(self._state, run_id)

    def new_step_run(self, root: str, key: str, attempt: int = 1) -> StepRunId:
        """Take the next attempt number, *attempt* at least, by making its folder; safe with many writers.

        It is above all that are taken, even if there are free ones between: the highest number is the latest attempt.

        :raises WorkspaceError: when the folder cannot be made.
        """
        attempt = max(attempt, self.latest_attempts(root).get(key, 0) + 1)
        while not self._state.objects.claim(run_folder(str(run_id := StepRunId(root, key, attempt)))):
            attempt += 1
        return run_id

    def put(self, record: RunRecord, *, durable: bool = False) -> None:
        """Write a record, replacing the run's earlier one."""
        self._state.objects.put(f"{run_folder(record.run_id)}/{RECORD_FILE}", _encode(record), durable=durable)

    def note(self, records: Sequence[RunRecord]) -> None:
        """Write the records of steps that one pipeline run reuses, all in one object."""
        alike = _alike(records)
        steps = [{name: value for name, value in vars(record).items() if name not in alike} for record in records]
        content = json.dumps({"schema": SCHEMA, "alike": alike, "steps": steps}, separators=(",", ":"))
        key = f"{_notes_folder(records[0].root_id)}/{os.urandom(16).hex()}"
        self._state.objects.put(key, sealed(content), durable=False)

    def noted(self, root: str) -> dict[str, RunRecord]:
        """Return the records that :meth:`note` has written for a pipeline run, by step run id.

        :raises CorruptObjectError: when one of the objects is damaged or of a newer schema.
        """
        found: dict[str, RunRecord] = {}
        for key in self._note_keys(root):
            found |= self._read_note(key)
        return found

    def create(self, record: RunRecord) -> bool:
        """Write a record unless the run has one, and say whether it was written."""
        key = f"{run_folder(record.run_id)}/{RECORD_FILE}"
        return self._state.objects.create(key, _encode(record), may_repeat=True)

    def exists(self, run_id: str) -> bool:
        """Say whether a run has a record."""
        return self._state.objects.exists(f"{run_folder(run_id)}/{RECORD_FILE}") or self._noted(run_id) is not None

    def update(self, record: RunRecord, **changes: Any) -> RunRecord:
        """Write a record with some fields changed, and return it."""
        changed = replace(record, **changes)
        self.put(changed)
        return changed

    def get(self, run_id: str) -> RunRecord:
        """Return a run's record.

        :raises RunNotFoundError: when there is no such run.
        :raises CorruptObjectError: when the record is damaged or of a newer schema.
        """
        content = self._state.objects.get(f"{run_folder(run_id)}/{RECORD_FILE}")
        record = self._noted(run_id) if content is None else _parse(content, run_id)
        if record is None:
            raise RunNotFoundError(f"There is no run {run_id!r} in the workspace {str(self._state.address)!r}.")
        later = self._later_tags(run_id)
        return replace(record, tags={**record.tags, **later}) if later else record

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Add tags to a run, replacing those of the same names.

        They are kept beside the record, so that whoever runs the run can write its record without reading it first.
        """
        data = json.dumps({"schema": SCHEMA, "tags": dict(tags)}).encode()
        folder = f"{run_folder(run_id)}/{TAGS_FOLDER}"
        number = len(self._state.objects.names(folder)) + 1
        while not self._state.objects.create(f"{folder}/{number:06}", data):
            number += 1

    def request_cancel(self, run_id: str) -> None:
        """Note that a run is to be canceled, for those who later find that its process is gone."""
        self._state.objects.put(f"{run_folder(run_id)}/{CANCEL_FILE}", b"", durable=False)

    def is_cancel_requested(self, run_id: str) -> bool:
        """Say whether :meth:`request_cancel` was called."""
        return self._state.objects.exists(f"{run_folder(run_id)}/{CANCEL_FILE}")

    def settle(self, run_id: str, question: str, answer: str) -> str:
        """Return what was answered first to a question about a run, which is *answer* unless somebody was before."""
        key = f"{run_folder(run_id)}/{SETTLED_FOLDER}/{digest_bytes(question.encode())[:32]}"
        if self._state.objects.create(key, answer.encode()):
            return answer
        return (self._state.objects.get(key) or b"").decode()

    def roots(self) -> list[RunRecord]:
        """Return the pipeline runs, newest first; damaged records are left out."""
        records = self._sound(self._state.objects.names("runs"))
        return sorted(records, key=lambda record: record.created, reverse=True)

    def steps(self, root: str) -> list[RunRecord]:
        """Return the step runs of a pipeline run, every attempt, in the order of their start."""
        return self._steps(root)

    def attempts(self, root: str, key: str) -> list[RunRecord]:
        """Return every attempt of one step of a pipeline run, in the order of their numbers, which no clock gives."""
        return sorted(self._steps(root, key), key=lambda record: StepRunId.parse(record.run_id).attempt)

    def latest_attempts(self, root: str) -> dict[str, int]:
        """Return by step key the highest attempt number of a pipeline run that is taken."""
        noted = (record.run_id.partition(".")[2] for record in self._sound_notes(root))
        latest: dict[str, int] = {}
        for name in (*self._state.objects.names(f"{run_folder(root)}/steps"), *noted):
            key, _, number = name.rpartition(".")
            if number.isdecimal():
                latest[key] = max(int(number), latest.get(key, 0))
        return latest

    def latest_steps(self, root: str) -> list[RunRecord]:
        """Return the newest attempt of each step of a pipeline run, in the order of their start."""
        newest: dict[str, RunRecord] = {}
        for record in self.steps(root):
            known = newest.get(record.key)
            if known is None or StepRunId.parse(record.run_id).attempt > StepRunId.parse(known.run_id).attempt:
                newest[record.key] = record
        return sorted(newest.values(), key=lambda record: (record.created, record.run_id))

    def _steps(self, root: str, only: str | None = None) -> list[RunRecord]:
        names = self._state.objects.names(f"{run_folder(root)}/steps")
        own = [f"{root}.{name}" for name in names if only is None or name.rpartition(".")[0] == only]
        found = {record.run_id: record for record in self._sound_notes(root) if only is None or record.key == only}
        found |= {record.run_id: record for record in self._sound(own)}
        return sorted(found.values(), key=lambda record: (record.created, record.run_id))

    def _noted(self, run_id: str) -> RunRecord | None:
        root, dot, _ = run_id.partition(".")
        return self.noted(root).get(run_id) if dot else None

    def _note_keys(self, root: str) -> list[str]:
        folder = _notes_folder(root)
        return [f"{folder}/{name}" for name in self._state.objects.names(folder)]

    def _sound_notes(self, root: str) -> Iterator[RunRecord]:
        for key in self._note_keys(root):
            with contextlib.suppress(WorkspaceError):
                yield from self._read_note(key).values()

    def _read_note(self, key: str) -> dict[str, RunRecord]:
        """Return what stands in an object of notes, which is read once: it never changes."""
        if key not in self._notes:
            content = self._state.objects.get(key)
            self._notes[key] = {} if content is None else _parse_note(content, key)  # None: cleaned away meanwhile
        return self._notes[key]

    def _later_tags(self, run_id: str) -> dict[str, str]:
        folder = f"{run_folder(run_id)}/{TAGS_FOLDER}"
        tags: dict[str, str] = {}
        for name in self._state.objects.names(folder):
            try:
                tags.update(json.loads(self._state.objects.get(f"{folder}/{name}") or b"{}")["tags"])
            except (KeyError, TypeError, ValueError):
                continue  # a damaged tag is no reason to lose the run
        return tags

    def _sound(self, run_ids: Sequence[str]) -> list[RunRecord]:
        found = map(self._get, run_ids) if self._state.is_local else in_parallel(self._get, run_ids)
        return [record for record in found if record is not None]

    def _get(self, run_id: str) -> RunRecord | None:
        try:
            return self.get(run_id)
        except (RunNotFoundError, WorkspaceError, ValueError):
            return None


def _notes_folder(root: str) -> str:
    return f"{run_folder(root)}/{REUSED_FOLDER}"


def _encode(record: RunRecord) -> bytes:
    return sealed(json.dumps({"schema": SCHEMA, **vars(record)}, separators=(",", ":")))


def _alike(records: Sequence[RunRecord]) -> dict[str, Any]:
    """Return the fields that all records have with the same value, so that they are written once."""
    first = vars(records[0])
    return {name: value for name, value in first.items() if all(vars(record)[name] == value for record in records)}


def _parse(content: bytes, run_id: str) -> RunRecord:
    return _read(content, f"The record of run {run_id}", _record)


def _parse_note(content: bytes, key: str) -> dict[str, RunRecord]:
    def read(document: dict[str, Any]) -> list[RunRecord]:
        return [_record({**document["alike"], **step}) for step in document["steps"]]

    records = _read(content, f"The object {key!r}", read)
    return {record.run_id: record for record in records}


def _read(content: bytes, what: str, read: Callable[[dict[str, Any]], T]) -> T:
    try:
        document = unsealed(content, what) if is_sealed(content) else json.loads(content)
        if document["schema"] > SCHEMA:
            raise CorruptObjectError(f"{what} has schema {document['schema']}, this Refrain reads up to {SCHEMA}.")
        return read(document)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise CorruptObjectError(f"{what} is damaged: {error!r}.") from error


def _record(document: Mapping[str, Any]) -> RunRecord:
    known = {f.name for f in fields(RunRecord)}
    values = {name: value for name, value in document.items() if name in known}
    values["status"] = RunStatus(values["status"])
    values["steps"] = tuple(values.get("steps", ()))
    values["models"] = tuple(values.get("models", ()))
    values["pipeline_outputs"] = {name: (k, o) for name, (k, o) in values.get("pipeline_outputs", {}).items()}
    return RunRecord(**values)
