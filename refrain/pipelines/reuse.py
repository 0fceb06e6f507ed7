"""Reuse: the results that a workspace keeps, in the hands of its users: pin, forget, count."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from refrain.errors import RefrainError, RunNotFoundError, UserError
from refrain.reuse.decision import Verdict
from refrain.reuse.record import RecordStore, ReuseRecord, Tombstone
from refrain.storage.state import WorkspaceState
from refrain.tracking.record import RunRecord, RunStore
from refrain.tracking.run_id import StepRunId

_SHORTEST_FINGERPRINT = 8


@dataclass(frozen=True)
class Results:
    """Which results are meant; what is None says nothing.

    :param fingerprint: its first digits, 8 at least.
    :param step: a step's key or name.
    :param run: a pipeline run's or a step run's id; its results are those that it made, not those that it reused.
    :param older_than: their age in seconds.
    """

    fingerprint: str | None = None
    pipeline: str | None = None
    step: str | None = None
    run: str | None = None
    older_than: float | None = None

    def require_some(self) -> None:
        """Refuse to mean everything.

        :raises UserError: when nothing is said, or too little of a fingerprint.
        """
        if all(value is None for value in vars(self).values()):
            raise UserError("Say which results: by a run, a step, a pipeline, a fingerprint or their age.")
        if self.fingerprint is not None and len(self.fingerprint) < _SHORTEST_FINGERPRINT:
            raise UserError(
                f"The fingerprint {self.fingerprint!r} is too short; give {_SHORTEST_FINGERPRINT} digits or more."
            )

    def covers(self, record: ReuseRecord, now: float) -> bool:
        """Say whether a result is meant."""
        made = StepRunId.parse(record.run_id)
        return (
            (self.fingerprint is None or record.fingerprint.startswith(self.fingerprint))
            and (self.pipeline is None or record.pipeline == self.pipeline)
            and (self.step is None or self.step in (made.key, record.step))
            and (self.run is None or self.run in (made.root, record.run_id))
            and (self.older_than is None or now - record.created > self.older_than)
        )


@dataclass(frozen=True)
class Forgotten:
    """What was forgotten, and what was meant too but is pinned."""

    results: tuple[ReuseRecord, ...]
    spared: tuple[ReuseRecord, ...]


@dataclass
class StepStats:
    """How often a step was reused. ``misses`` counts by verdict; ``results`` and ``bytes`` are what is kept of it."""

    pipeline: str
    key: str
    hits: int = 0
    misses: Counter[str] = field(default_factory=Counter)
    seconds_saved: float = 0.0
    results: int = 0
    bytes: int = 0


class Reuse:
    """A workspace's results; see :attr:`refrain.pipelines.workspace.Workspace.reuse`."""

    def __init__(self, state: WorkspaceState) -> None:
        """Look after the results in *state*."""
        self._records = RecordStore(state.objects)
        self._runs = RunStore(state)

    def pin(self, run_id: str, note: str = "") -> list[ReuseRecord]:
        """Pin the results of a step run, or of all steps of a pipeline run.

        They are spared by every cleaning, and no forced run takes their place.

        :param note: why, for whoever finds the pin.
        :raises UserError: when a result is not kept any more, or another one has taken its place.
        :raises RunNotFoundError: when there is no such run.
        """
        found = [self._result(step) for step in self._steps(run_id)]
        for record in found:
            self._records.pins.add(record.fingerprint, note)
        return found

    def unpin(self, run_id: str) -> list[ReuseRecord]:
        """Take pins off the results of a run; those that were not pinned are left out of what is returned."""
        steps = self._steps(run_id)
        removed = {step.fingerprint for step in steps if self._records.pins.remove(step.fingerprint)}
        return [record for record in (self._known(fingerprint) for fingerprint in sorted(removed)) if record]

    def forget(self, which: Results, *, is_dry: bool = False) -> Forgotten:
        """Mark results, so that none of them is used again; their data stays until it is cleaned away.

        :param is_dry: only say which they are.
        :raises UserError: when *which* says nothing.
        """
        which.require_some()
        now = time.time()
        meant = [record for record in self._candidates(which) if record.dead is None and which.covers(record, now)]
        pinned = set(self._records.pins.fingerprints())
        found = [record for record in meant if record.fingerprint not in pinned]
        if not is_dry:
            tombstone = Tombstone(Verdict.FORGOTTEN.value, "somebody asked for that", now)
            found = [record for record in found if self._records.bury(record, tombstone)]
        return Forgotten(tuple(found), tuple(record for record in meant if record.fingerprint in pinned))

    def stats(self, pipeline: str | None = None, step: str | None = None) -> list[StepStats]:
        """Return how often each step was reused, by pipeline and key; reads every run of the workspace.

        :param pipeline: only steps of this pipeline.
        :param step: only steps of this key.
        """
        found: dict[tuple[str, str], StepStats] = {}

        def of(pipeline_name: str, key: str) -> StepStats | None:
            if pipeline not in (None, pipeline_name) or step not in (None, key):
                return None
            return found.setdefault((pipeline_name, key), StepStats(pipeline_name, key))

        for run in (r for root in self._runs.roots() for r in self._runs.steps(root.run_id) if r.decision):
            stats = of(run.pipeline, run.key)
            if stats is not None:
                _count(stats, run)
        for record in (r for r in self._records.all() if r.dead is None):
            stats = of(record.pipeline, StepRunId.parse(record.run_id).key)
            if stats is not None:
                stats.results += 1
                stats.bytes += record.bytes
        return [found[key] for key in sorted(found)]

    def _steps(self, run_id: str) -> list[RunRecord]:
        record = self._runs.get(run_id)
        return [record] if record.key else self._runs.latest_steps(run_id)

    def _result(self, step: RunRecord) -> ReuseRecord:
        record = self._known(step.fingerprint)
        if record is None or record.dead is not None:
            why = f": {record.dead.detail}" if record and record.dead else ""
            raise UserError(
                f"The result of {step.run_id} is not kept for reuse{why}. Run the step again, and pin that."
            )
        if record.run_id != step.made_by:
            raise UserError(f"The result of {step.run_id} was replaced by that of {record.run_id}; pin that one.")
        return record

    def _known(self, fingerprint: str) -> ReuseRecord | None:
        try:
            return self._records.get(fingerprint) if fingerprint else None
        except RefrainError:
            return None

    def _candidates(self, which: Results) -> Iterator[ReuseRecord]:
        """Yield what may be meant, without reading everything where the runs or the fingerprint say where to look."""
        if which.fingerprint is not None:
            yield from self._records.beginning_with(which.fingerprint)
        elif which.run is not None:
            try:
                steps = self._steps(which.run)
            except RunNotFoundError:
                steps = []
            yield from (r for r in map(self._known, {step.fingerprint for step in steps}) if r is not None)
        else:
            yield from self._records.all()


def _count(stats: StepStats, run: RunRecord) -> None:
    if run.reused_from is not None:
        stats.hits += 1
        stats.seconds_saved += run.seconds_saved
    else:
        stats.misses[str(run.decision.get("verdict"))] += 1
