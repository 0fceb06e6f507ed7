"""Marking: which runs, results and objects of a workspace are in use, and why the others are not.

What is read is believed generously: whatever looks like the id of a step run or like a digest, in any document that is
in use, keeps what it names.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from refrain.errors import RefrainError, RunNotFoundError
from refrain.reuse.pins import Pins
from refrain.reuse.record import record_key
from refrain.storage.blobs import manifest_key
from refrain.storage.digest import is_digest
from refrain.storage.objects import Stored
from refrain.storage.retention import DEFAULT_GRACE_DAYS, Retention
from refrain.storage.retry import in_parallel
from refrain.storage.state import WorkspaceState
from refrain.tracking.record import REUSED_FOLDER, RunRecord, RunStore

_WORDS = re.compile(rb"[A-Za-z0-9_.\-]+")
_HOME = re.compile(r"/azureml/([^/]+)/")
_STEP_DEPTH = 3  # runs/<root>/steps/<key>.<n>/<file>


@dataclass
class RunInUse:
    """A pipeline run as it is stored: its record, its steps' records by id, and its objects.

    :param record: None where it was never written, or cannot be read.
    :param noted: those of the steps that have nothing but a record, which goes with the run.
    :param changed: when the newest of its objects was written, in seconds since the epoch.
    :param is_readable: whether all its records could be read; else it stays, and whatever they may name.
    """

    root_id: str
    record: RunRecord | None = None
    steps: dict[str, RunRecord] = field(default_factory=dict)
    noted: frozenset[str] = frozenset()
    objects: list[Stored] = field(default_factory=list)
    changed: float = 0.0
    is_readable: bool = True

    @property
    def bytes(self) -> int:
        """The sum of the outputs that its steps made themselves."""
        handles = (handle for step in self.steps.values() if not step.reused_from for handle in step.outputs.values())
        return sum(int(handle.get("bytes", 0)) for handle in handles)


class Marks:
    """What is in use in a workspace at one moment."""

    def __init__(self, state: WorkspaceState, retention: Retention, now: float) -> None:
        """Look at *state* as it is *now*, by the clock of its store; what is asked for first is read once."""
        self._state = state
        self._runs = RunStore(state)
        self._retention = retention
        self._now = now

    def is_older(self, changed: float, seconds: float) -> bool:
        """Say whether something was written more than so many seconds ago."""
        return self._now - changed > seconds

    def is_young(self, changed: float) -> bool:
        """Say whether something was written so recently that it may be in use without a sign of it."""
        return self._now - changed < self._retention.grace

    @cached_property
    def runs(self) -> dict[str, RunInUse]:
        """Every pipeline run by id."""
        found: dict[str, RunInUse] = {}
        for stored in self._state.objects.walk("runs"):
            root_id = stored.key.split("/")[1]
            run = found.setdefault(root_id, RunInUse(root_id))
            run.objects.append(stored)
            run.changed = max(run.changed, stored.changed)
        in_parallel(self._read, found.values())
        return found

    @cached_property
    def reasons(self) -> dict[str, str]:
        """Why each run that goes need not stay, by its id; none goes while a record that may name it is unreadable."""
        if not self.is_complete:
            return {}
        newest_first = sorted(self.runs.values(), key=lambda run: (-run.changed, run.root_id))
        seen: dict[str, int] = defaultdict(int)
        total = 0
        reasons = {}
        for run in newest_first:
            pipeline = run.record.pipeline if run.record is not None else ""
            seen[pipeline] += 1
            total += run.bytes
            reason = self._reason(run, seen[pipeline], total)
            if reason and not self.is_young(run.changed) and not self._is_going(run):
                reasons[run.root_id] = reason
        return reasons

    @cached_property
    def live_steps(self) -> set[str]:
        """The step runs that stay: those of runs that stay, and those whose results somebody uses."""
        staying = [run for run in self.runs.values() if run.root_id not in self.reasons]
        known = {step.run_id: step for run in self.runs.values() for step in run.steps.values()}
        live = {step_id for run in staying for step_id in run.steps} | (self.named & known.keys())
        waiting = list(live)
        while waiting:
            step = known[waiting.pop()]
            more = (homes(step) | {step.made_by}) - live
            live |= more
            waiting += more & known.keys()
        return live

    def words(self, kept: Container[str]) -> set[str]:
        """Return every word in the documents of step runs that are kept and in those that name them.

        The digests of blobs and manifests are among them.
        """
        steps = [step for run in self.runs.values() for step in run.steps.values() if step.run_id in kept]
        keys = [record_key(step.fingerprint) for step in steps if step.fingerprint]
        found = set(self.named)
        found.update(*(words_in(content) for content in self._contents(keys)))
        found.update(step.snapshot for step in steps)
        found.update(str(handle.get("digest")) for step in steps for handle in step.outputs.values())
        manifests = [manifest_key(word) for word in found if is_digest(word)]
        found.update(*(words_in(content) for content in self._contents(manifests)))
        return found

    @property
    def is_complete(self) -> bool:
        """Say whether every record could be read, so that what no word names is in nobody's use."""
        return all(run.is_readable for run in self.runs.values())

    @cached_property
    def fingerprints(self) -> set[str]:
        """The fingerprints of which a run is known."""
        return {step.fingerprint for run in self.runs.values() for step in run.steps.values()}

    @cached_property
    def pinned(self) -> set[str]:
        """The fingerprints of the results that stay."""
        return set(Pins(self._state.objects).fingerprints())

    @cached_property
    def named(self) -> set[str]:
        """The words of what users registered or pinned."""
        registered = [stored.key for stored in self._state.objects.walk("registry")]
        pinned = map(record_key, self.pinned)
        return set().union(*(words_in(content) for content in self._contents([*registered, *pinned])))

    def _is_going(self, run: RunInUse) -> bool:
        """Say whether a run may still be at work, however short the grace period is."""
        is_over = run.record is None or run.record.status.is_final
        return not is_over and self._now - run.changed < DEFAULT_GRACE_DAYS * 24 * 3600

    def _reason(self, run: RunInUse, place: int, total: int) -> str:
        limits = self._retention
        if run.record is None:
            return "" if run.steps else "was never begun"
        if limits.is_outdated(self._now - run.changed):
            return f"older than {limits.days:g} days"
        if limits.runs is not None and place > limits.runs:
            return f"not among the latest {limits.runs} of {run.record.pipeline}"
        if limits.bytes is not None and total > limits.bytes:
            return f"beyond {limits.bytes} bytes"
        return ""

    def _read(self, run: RunInUse) -> None:
        run.record = self._record(run, run.root_id)
        if any(stored.key.split("/")[2] == REUSED_FOLDER for stored in run.objects):
            self._read_notes(run)
        names = {stored.key.split("/")[3] for stored in run.objects if stored.key.count("/") > _STEP_DEPTH}
        for name in sorted(names):
            step = self._record(run, f"{run.root_id}.{name}")
            if step is not None:
                run.steps[step.run_id] = step

    def _read_notes(self, run: RunInUse) -> None:
        try:
            run.steps = self._runs.noted(run.root_id)
        except (RefrainError, ValueError):
            run.is_readable = False
        run.noted = frozenset(run.steps)

    def _record(self, run: RunInUse, run_id: str) -> RunRecord | None:
        try:
            return self._runs.get(run_id)
        except RunNotFoundError:
            return None  # as while it is being made
        except (RefrainError, ValueError):
            run.is_readable = False
            return None

    def _contents(self, keys: Iterable[str]) -> Iterator[bytes]:
        """Yield documents that are there; one that cannot be read may name anything, so that nothing can go."""
        yield from (content for content in in_parallel(self._state.objects.get, keys) if content)


def homes(step: RunRecord) -> set[str]:
    """Return what may be the ids of step runs in whose own places the data of a step run's outputs is.

    Most often it is itself. A job on another system may have been submitted by an earlier try, whose places it fills,
    and what is linked to an output is elsewhere; of that every word is taken for an id.
    """
    found = (_HOME.search(str(handle.get("uri"))) for handle in step.outputs.values())
    return {match[1] for match in found if match} | words_in(json.dumps(step.datasets.get("wrote", {})).encode())


def words_in(content: bytes) -> set[str]:
    """Return what may be ids and digests in a document."""
    return {word.decode() for word in _WORDS.findall(content)}
