"""DaskKind: compute targets whose nodes, for the steps that are parallel runs, are those of a cluster of Dask's."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import refrain
from refrain.compute.dask import DaskSettings, settings_of
from refrain.compute.job import JobStatus
from refrain.compute.kinds import untried
from refrain.compute.local import LocalCompute
from refrain.compute.local_kind import environments_of
from refrain.compute.target import Target
from refrain.compute.trials import run_trial
from refrain.errors import StepFailedError
from refrain.storage.state import WorkspaceState

_RUNTIME = Path(str(refrain.__file__)).parent / "runtime"
_TRIAL_SECONDS = 90.0
_NODE_SECONDS = 30.0
_TAIL_LINES = 12
_JOINED = re.compile(r"Node \d+ is (\S+): (\d+) worker processes")


class DaskKind:
    """See :class:`refrain.compute.kinds.TargetKind`."""

    def check(self, settings: Mapping[str, Any]) -> None:
        """See :class:`TargetKind`."""
        DaskSettings.parse(settings)

    def compute(self, target: Target, state: WorkspaceState, grace_seconds: float) -> LocalCompute:
        """See :class:`TargetKind`."""
        told = settings_of(target).variables(target.name)
        return LocalCompute(grace_seconds, environments_of(state), told=told)

    def examine(self, target: Target, state: WorkspaceState) -> Iterator[str]:
        """See :class:`TargetKind`."""
        settings = settings_of(target)
        hurried = DaskSettings(
            settings.scheduler, settings.certificates, {"start_seconds": _NODE_SECONDS, **settings.more}
        )
        variables = {**hurried.variables(target.name), "PYTHONPATH": str(_RUNTIME / "path")}
        lines: list[str] = []
        root = str(state.root)
        os.makedirs(root, exist_ok=True)
        result = run_trial(_command(), variables, _TRIAL_SECONDS, lines.append, root)
        said = [line for line in lines if line.strip()]
        joined = [match for match in map(_JOINED.fullmatch, said) if match]
        if result.status is not JobStatus.SUCCEEDED or not joined:
            late = f" within {_TRIAL_SECONDS:.0f} s" if result.status is JobStatus.CANCELED else ""
            raise StepFailedError(
                f"Compute target {target.name!r}: a parallel run on {settings.scheduler} did not succeed{late}. Its "
                "output ends with:\n" + "\n".join(f"    {line}" for line in said[-_TAIL_LINES:])
            )
        yield f"Dask's scheduler {settings.scheduler} placed a host on {joined[0][1]}, which called back"
        yield f"it has this interpreter's packages, and shares {root}"
        yield f"mini-batches were run there, in {joined[0][2]} worker processes"
        yield from untried(target)


def _command() -> tuple[str, ...]:
    """Return a parallel run of a few mini-batches without data, on one node."""
    script = _RUNTIME / "parallel" / "nodes" / "trial.py"
    settings = {
        "scoring_module_name": str(script), "rank_mini_batch_count": "8", "error_threshold": "0",
        "output_action": "summary_only", "refrain_node_count": "1",
    }  # fmt: skip
    words = (word for name, value in settings.items() for word in (f"--{name}", value))
    return (sys.executable, "-m", "refrain.runtime.parallel", *words)
