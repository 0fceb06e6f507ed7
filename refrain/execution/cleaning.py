"""Cleaning: finds what a workspace need not keep, and removes it so that nobody who is at work notices.

::

    <root>/gc/condemned/<step run id>    its result is marked as dead; its data goes after the grace period
    <root>/gc/clock                      tells the time by the store's own clock

A step run goes in two visits. The first marks its result as dead, so that no run begins to use its data; the second,
a grace period later, finds that no run has used it since, and removes the data, then the run's files, and its record
last, so that a visit that was killed is taken up by the next. Only ``azureml/<step run id>/`` on datastores, and what
the workspace itself stores, registered models among it, is ever removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from refrain.data.models.content import FOLDER as MODELS
from refrain.data.models.content import sign_key
from refrain.data.models.record import ModelVersions
from refrain.errors import CorruptObjectError, DataError, RefrainError, WorkspaceError
from refrain.execution.marking import Marks, RunInUse, homes, words_in
from refrain.execution.stage import abandoned, sweep
from refrain.execution.submissions import SUBMISSIONS
from refrain.reuse.decision import Verdict
from refrain.reuse.mark import RecordKey
from refrain.reuse.record import RecordStore, Tombstone, record_key
from refrain.storage.blobs import blob_key, manifest_key
from refrain.storage.datastores import BUILT_IN
from refrain.storage.local import remove_path
from refrain.storage.objects import Stored, is_temporary
from refrain.storage.receipts import Receipts
from refrain.storage.retention import DEFAULT_GRACE_DAYS, Retention, retention
from refrain.storage.state import COPIES, WorkspaceState
from refrain.storage.store import Place
from refrain.storage.unfinished import HALF, UNFINISHED, unfinished
from refrain.tracking.record import RECORD_FILE, RunRecord
from refrain.tracking.run_files import FETCHED
from refrain.tracking.run_id import run_folder

_CONDEMNED = "gc/condemned"
_CLOCK = "gc/clock"
_AT_WORK_SECONDS = 3600.0  # even without a grace period: somebody may be at it
_RECENT = "reuse/recent/"
_JOBS_ARE_KNOWN_SECONDS = 60 * 24 * 3600.0  # to Databricks
_OWN_RUN = re.compile(r"[0-9a-f]{32}\..+\.[1-9][0-9]*")


class WasteKind(str, Enum):
    """What can go, in the order in which it does."""

    STEP = "step run"  # its data, logs and records
    RUN = "run"  # a pipeline run of which no step is left
    RESULT = "result"  # a reuse record whose run is not known any more
    MODEL = "model"  # the bytes of registered models of which no version is left
    DATA = "data"  # outputs in a built-in datastore whose run is not known any more
    LEASE = "lease"
    RECEIPT = "receipt"
    MANIFEST = "manifest"
    BLOB = "blob"
    BEGUN = "begun"  # what a killed writer had not finished
    STAGING = "staging"  # what a killed engine of this machine left
    UNFINISHED = "unfinished work"  # with which no try went on
    COPY = "copy"  # what this machine fetched of a remote workspace


@dataclass(frozen=True)
class Waste:
    """One thing that can go.

    :param name: the run's id, or the object's key.
    :param is_due: False for what is taken out of use first, and goes at a visit after the grace period.
    """

    kind: WasteKind
    name: str
    reason: str
    bytes: int
    is_due: bool = True


class Cleaning:
    """The cleaning of one workspace."""

    def __init__(self, state: WorkspaceState, limits: Retention | None = None) -> None:
        """Clean *state* by *limits*; None means the workspace's own."""
        self._state = state
        self._objects = state.objects
        self._records = RecordStore(state.objects)
        self._records_of_any_key = RecordStore(state.objects, RecordKey())
        self._limits = limits or retention(state.registry)
        self._ahead = 0.0

    def plan(self) -> list[Waste]:
        """Return what could go now, without changing anything."""
        return self._plan(Marks(self._state, self._limits, time.time()))

    def clean(self) -> list[Waste]:
        """Remove what is due, take out of use what is not, and return both as :meth:`plan` does.

        :raises WorkspaceError: when the workspace cannot be changed.
        """
        now = self._store_time()
        if self._state.is_local:  # the same clock stamps the folders in which steps of other machines work
            self._ahead = time.time() - now
        marks = Marks(self._state, self._limits, now)
        self._lift(marks)
        done = []
        for waste in self._plan(marks):
            with contextlib.suppress(DataError):  # a datastore that cannot be reached now; its data goes another time
                if self._remove(waste, marks):
                    done.append(waste)
        sweep(self._state, self._is_forgotten)
        return done

    def _plan(self, marks: Marks) -> list[Waste]:
        condemned = {stored.key.rpartition("/")[2]: stored.changed for stored in self._objects.walk(_CONDEMNED)}
        kinds: list[Callable[[Marks], Iterator[Waste]]] = [
            self._results,
            self._orphans,
            self._models,
            self._leases,
            self._begun,
        ]
        found = list(self._step_runs(marks, condemned))
        left = {waste.name for waste in found if not waste.is_due} | marks.live_steps
        found += self._pipeline_runs(marks, left)
        found += self._unnamed(marks, left)
        for kind in kinds:
            found += kind(marks)
        return [*found, *self._abandoned(), *self._unfinished(marks), *self._copies(marks)]

    def _step_runs(self, marks: Marks, condemned: dict[str, float]) -> Iterator[Waste]:
        for run in _going(marks):
            for step in run.steps.values():
                if step.run_id not in marks.live_steps and step.run_id not in run.noted:
                    size = _size(run, run_folder(step.run_id)) + sum(h["bytes"] for h in _own_outputs(step))
                    is_due = step.run_id in condemned and not marks.is_young(condemned[step.run_id])
                    is_due |= self._limits.grace == 0
                    yield Waste(WasteKind.STEP, step.run_id, marks.reasons[run.root_id], size, is_due)

    def _pipeline_runs(self, marks: Marks, left: set[str]) -> Iterator[Waste]:
        for folder, status in _there((self._state.root / "runs").glob("*") if self._state.is_local else ()):
            if folder.name not in marks.runs and self._is_forgotten(status.st_mtime):
                yield Waste(WasteKind.RUN, folder.name, "nothing is in its folder", 0)
        for run in _going(marks):
            if not run.steps.keys() & left:
                own = sum(stored.bytes for stored in run.objects if "/steps/" not in stored.key)
                yield Waste(WasteKind.RUN, run.root_id, marks.reasons[run.root_id], own)

    def _results(self, marks: Marks) -> Iterator[Waste]:
        """Find records whose runs are gone, and the memories of results of which none is left."""
        walked = list(self._objects.walk("reuse")) if marks.is_complete else []
        named = ((stored.key.rpartition("/")[2].removesuffix(".json"), stored) for stored in walked)
        records = {name: stored for name, stored in named if stored.key == record_key(name)}
        kept = marks.fingerprints | marks.pinned
        for name, stored in records.items():
            if name not in kept and not marks.is_young(stored.changed):
                yield Waste(WasteKind.RESULT, stored.key, "its run is not known any more", stored.bytes)
        for stored in walked:
            is_old_memory = stored.key.startswith(_RECENT) and not marks.is_young(stored.changed)
            if is_old_memory and not words_in(self._objects.get(stored.key) or b"") & records.keys():
                yield Waste(WasteKind.RESULT, stored.key, "no result that it names is left", stored.bytes)

    def _orphans(self, marks: Marks) -> Iterator[Waste]:
        """Find outputs that a killed worker left on the datastores that are this workspace's alone."""
        steps = [step for run in marks.runs.values() for step in run.steps.values()]
        known = {step.run_id for step in steps}.union(marks.named, *map(homes, steps))
        for store in BUILT_IN if marks.is_complete else ():
            folder = f"datastores/{store}/azureml"
            for name in self._objects.names(folder):
                is_unknown = _OWN_RUN.fullmatch(name) and name not in known
                # A run that has begun since the look has a folder before it has outputs, whose files may seem old.
                if is_unknown and not self._objects.names(run_folder(name)):
                    objects = list(self._objects.walk(f"{folder}/{name}"))
                    if not any(marks.is_young(stored.changed) for stored in objects):
                        size = sum(stored.bytes for stored in objects)
                        yield Waste(WasteKind.DATA, f"{folder}/{name}", "its run is not known any more", size)

    def _models(self, marks: Marks) -> Iterator[Waste]:
        """Find contents of models that no version has any more; none while one version cannot be read."""
        contents = self._objects.names(MODELS)
        try:
            registered = ModelVersions(self._state.registry).digests() if contents else set()
        except WorkspaceError:
            return
        for digest in contents:
            objects = list(self._objects.walk(f"{MODELS}/{digest}"))
            if digest not in registered and not any(marks.is_young(stored.changed) for stored in objects):
                size = sum(stored.bytes for stored in objects)
                yield Waste(WasteKind.MODEL, f"{MODELS}/{digest}", "no registered version has it", size)

    def _leases(self, marks: Marks) -> Iterator[Waste]:
        for stored in (*self._objects.walk("leases"), *self._objects.walk("probes")):
            if not marks.is_young(stored.changed) and marks.is_older(stored.changed, _AT_WORK_SECONDS):
                yield Waste(WasteKind.LEASE, stored.key, "nobody has held it for long", stored.bytes)
        for stored in self._objects.walk(SUBMISSIONS):
            if marks.is_older(stored.changed, _JOBS_ARE_KNOWN_SECONDS):
                yield Waste(WasteKind.LEASE, stored.key, "its job is known to nobody any more", stored.bytes)

    def _unnamed(self, marks: Marks, left: Container[str]) -> Iterator[Waste]:
        """Find what is stored by its content and named by no document of a step run that is left."""
        if not marks.is_complete:
            return
        words = marks.words(left)
        for stored in self._old("receipts", marks):
            identity = Receipts(self._objects).get(stored.key.rpartition("/")[2])
            if identity is None or identity.digest not in words:
                yield Waste(WasteKind.RECEIPT, stored.key, "no result in use names it", stored.bytes)
        for folder, kind, key_of in (
            ("manifests", WasteKind.MANIFEST, manifest_key),
            ("blobs", WasteKind.BLOB, blob_key),
        ):
            for stored in self._old(folder, marks):
                digest = stored.key.rpartition("/")[2]
                if digest not in words and stored.key == key_of(digest):
                    yield Waste(kind, stored.key, "no result in use names it", stored.bytes)

    def _begun(self, marks: Marks) -> Iterator[Waste]:
        """Find what writers that were killed had begun; only in a folder is there such a thing."""
        if not self._state.is_local:
            return
        found = [stored for run in marks.runs.values() for stored in run.objects]
        for folder in ("blobs", "gc", "manifests", "registry", "reuse"):
            found += self._objects.walk(folder)
        for path, status in _there(self._state.root.iterdir()):
            found.append(Stored(path.name, status.st_size, status.st_mtime))
        for stored in found:
            if is_temporary(stored.key) and not marks.is_young(stored.changed):
                yield Waste(WasteKind.BEGUN, stored.key, "its writer was killed", stored.bytes)

    def _old(self, folder: str, marks: Marks) -> Iterator[Stored]:
        yield from (stored for stored in self._objects.walk(folder) if not marks.is_young(stored.changed))

    def _abandoned(self) -> Iterator[Waste]:
        for run_id, folder in abandoned(self._state, self._is_forgotten):
            yield Waste(WasteKind.STAGING, run_id, "the process that worked there was killed", _bytes_below(folder))

    def _unfinished(self, marks: Marks) -> Iterator[Waste]:
        """Find work with which no try goes on: its folder on this machine, and its copy in the workspace."""
        latest: dict[str, float] = {}
        sizes: dict[str, int] = defaultdict(int)
        for folder, changed in unfinished(self._state.root):
            latest[folder.name], sizes[folder.name] = changed, _bytes_below(folder)
        for stored in () if self._state.is_local else self._objects.walk(UNFINISHED):
            key = stored.key.split("/")[2]
            latest[key] = max(latest.get(key, 0.0), stored.changed)
            sizes[key] += stored.bytes
        for key, changed in latest.items():
            if not marks.is_young(changed) and self._age(changed) > _AT_WORK_SECONDS:
                yield Waste(WasteKind.UNFINISHED, key, "no try has gone on with it for long", sizes[key])

    def _is_forgotten(self, changed: float) -> bool:
        """Say whether a folder is so old that no run can be at work in it, however short the grace period is."""
        return self._age(changed) > max(self._limits.grace, DEFAULT_GRACE_DAYS * 24 * 3600)

    def _age(self, changed: float) -> float:
        """Return how many seconds ago a file of this machine's folder was written."""
        return time.time() - self._ahead - changed

    def _copies(self, marks: Marks) -> Iterator[Waste]:
        folders = () if self._state.is_local else (self._state.root / FETCHED, self._state.root / COPIES)
        for path, status in (found for folder in folders for found in _there(_files_below(folder))):
            if not marks.is_young(status.st_mtime):
                yield Waste(WasteKind.COPY, str(path), "can be fetched again", status.st_size)
        half = (*self._state.root.glob(f"{HALF}*"), *self._state.root.glob(f"{UNFINISHED}/??/{HALF}*"))
        for path, status in _there(half):
            if self._is_forgotten(status.st_mtime):
                yield Waste(WasteKind.COPY, str(path), "its maker was killed", _bytes_below(path))

    def _remove(self, waste: Waste, marks: Marks) -> bool:
        """Do what is to be done about one thing now, and say whether it was."""
        if waste.kind is WasteKind.STEP:
            self._remove_step(waste, marks)
        elif waste.kind is WasteKind.RUN:
            self._objects.drop(run_folder(waste.name), last=RECORD_FILE)
        elif waste.kind in (WasteKind.DATA, WasteKind.MODEL):
            return self._drop(waste)
        elif waste.kind is WasteKind.UNFINISHED:
            self._state.unfinished(waste.name).remove()
        elif waste.kind is WasteKind.COPY:
            remove_path(Path(waste.name))
        elif waste.kind is not WasteKind.STAGING:
            if self._limits.grace and self._objects.is_fresh(waste.name):
                return False  # written again since the look: somebody uses it
            self._objects.delete(waste.name)
        return True

    def _drop(self, waste: Waste) -> bool:
        is_model = waste.kind is WasteKind.MODEL
        if is_model and self._limits.grace and self._objects.is_fresh(sign_key(waste.name.rpartition("/")[2])):
            return False  # registered again since the look
        self._objects.drop(waste.name)
        return True

    def _remove_step(self, waste: Waste, marks: Marks) -> None:
        step = marks.runs[waste.name.partition(".")[0]].steps[waste.name]
        self._bury(step, waste)
        mark = f"{_CONDEMNED}/{step.run_id}"
        if not waste.is_due:
            if not self._objects.exists(mark):
                self._objects.put(mark, json.dumps({"schema": 1, "reason": waste.reason}).encode())
            return
        for place in _places(step, self._state):
            place.store.remove(place.path)
        self._objects.drop(run_folder(step.run_id), last=RECORD_FILE)
        self._objects.delete(mark)

    def _bury(self, step: RunRecord, waste: Waste) -> None:
        """Mark the step run's result as dead, or remove what is left of the record when its data goes."""
        with contextlib.suppress(CorruptObjectError):  # it is used by nobody; one that cannot be marked may be
            record = self._records_of_any_key.get(step.fingerprint) if step.fingerprint else None
            if record is None or record.run_id != step.run_id:
                return
            detail = f"its data is being cleaned away: {waste.reason}"
            tombstone = Tombstone(Verdict.FORGOTTEN.value, detail, time.time())
            # One that another key marked is sound for whoever has that key, and cannot be marked as dead for them.
            if waste.is_due or not (record.dead or self._records.bury(record, tombstone)):
                self._objects.delete(record_key(step.fingerprint))

    def _lift(self, marks: Marks) -> None:
        """Take marks back from step runs that are used again, or are gone."""
        known = {step_id for run in _going(marks) for step_id in run.steps}
        for run_id in self._objects.names(_CONDEMNED):
            if run_id in marks.live_steps or run_id not in known:
                self._objects.delete(f"{_CONDEMNED}/{run_id}")

    def _store_time(self) -> float:
        """Return the time by the clock that stamps the objects, so that a wrong one here makes nothing old."""
        self._objects.put(_CLOCK, b"", durable=False)
        return next(stored.changed for stored in self._objects.walk("gc") if stored.key == _CLOCK)


def _going(marks: Marks) -> list[RunInUse]:
    return [run for run in marks.runs.values() if run.root_id in marks.reasons]


def _places(step: RunRecord, state: WorkspaceState) -> Iterator[Place]:
    """Return where a step run's own outputs are, as far as it is on the workspace's datastores."""
    own = f"/azureml/{step.run_id}"
    for uri in {str(handle["uri"]).partition(f"{own}/")[0] + own for handle in _own_outputs(step)}:
        with contextlib.suppress(RefrainError):
            place = state.stores.at(uri)
            if state.stores.datastore_of(place) is not None:
                yield place


def _own_outputs(step: RunRecord) -> list[dict[str, int]]:
    """Return the handles of what a step run made itself, in the place that is its own."""
    return [handle for handle in step.outputs.values() if f"/azureml/{step.run_id}/" in str(handle.get("uri"))]


def _size(run: RunInUse, folder: str) -> int:
    return sum(stored.bytes for stored in run.objects if stored.key.startswith(f"{folder}/"))


def _bytes_below(folder: Path) -> int:
    return sum(status.st_size for _, status in _there(_files_below(folder)))


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, as far as they can be seen."""
    yield from (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)


def _there(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield paths with what is known of them, but for those that somebody removes just then."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            yield path, path.lstat()
