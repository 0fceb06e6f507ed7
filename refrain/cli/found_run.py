"""FoundRun: the run that the start of an id means."""

from __future__ import annotations

from dataclasses import dataclass

from refrain.errors import RunNotFoundError, UserError, did_you_mean, known
from refrain.pipelines.run import PipelineRun, StepRun
from refrain.pipelines.workspace import Workspace
from refrain.tracking.record import RunStore
from refrain.tracking.run_id import StepRunId, short_id

_MOST_NAMED = 5


@dataclass(frozen=True)
class FoundRun:
    """A pipeline run, and the step of it that was asked for, if any."""

    run: PipelineRun
    step: StepRun | None = None


def find_run(workspace: Workspace, text: str | None) -> FoundRun:
    """Return the run whose id begins with *text*; ``<start>.<step>`` means a step's newest attempt, None the newest.

    :raises RunNotFoundError: when there is none.
    :raises UserError: when there are several.
    """
    if text is None:
        return FoundRun(PipelineRun.get(workspace, _newest(workspace)))
    start, _, rest = text.partition(".")
    run = PipelineRun.get(workspace, _root(workspace, start))
    return FoundRun(run, _step(run, rest) if rest else None)


def _newest(workspace: Workspace) -> str:
    roots = RunStore(workspace.state).roots()
    if not roots:
        raise RunNotFoundError(f"There is no run in the workspace {workspace.root!r} yet.")
    return roots[0].run_id


def _root(workspace: Workspace, start: str) -> str:
    ids = [name for name in workspace.state.objects.names("runs") if name.startswith(start)]
    if start in ids:
        return start
    if not start or not ids:
        raise RunNotFoundError(f"No run has an id that begins with {start!r} in the workspace {workspace.root!r}.")
    if len(ids) > 1:
        some = known(short_id(name) if len(start) < 8 else name for name in ids[:_MOST_NAMED])
        raise UserError(f"{len(ids)} runs have an id that begins with {start!r}: {some}. Give more of it.")
    return ids[0]


def _step(run: PipelineRun, rest: str) -> StepRun:
    """Find ``<key>.<attempt>``, ``<key>`` or a step's name."""
    for record in run.store.steps(run.id):
        if f"{record.key}.{StepRunId.parse(record.run_id).attempt}" == rest:
            return StepRun(run, record.run_id)
    latest = run.store.latest_steps(run.id)
    found = [r for r in latest if r.key == rest] or [r for r in latest if r.name == rest]
    if len(found) == 1:
        return StepRun(run, found[0].run_id)
    keys = [record.key for record in latest]
    if found:
        raise UserError(f"{len(found)} steps are called {rest!r}; use one of the keys {known(r.key for r in found)}.")
    raise RunNotFoundError(
        f"Run {short_id(run.id)} has no step {rest!r}. Known: {known(keys)}.{did_you_mean(rest, keys)}"
    )
