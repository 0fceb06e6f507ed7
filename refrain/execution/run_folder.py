"""The run folder: what the step's process finds about its run, and what is kept of it afterwards.

::

    runs/<root>/steps/<key>.<attempt>/
        run.json         the run record
        context.json     what Run.get_context() knows
        events.jsonl     what the script logged
        logs/std_log.txt the process's output
        artifacts/       uploaded files, ./outputs and ./logs
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from refrain.data.ports import OutputMode
from refrain.execution.request import StepRequest
from refrain.execution.stage import Stage
from refrain.steps.definition import StepDefinition
from refrain.storage.manifest import Manifest
from refrain.storage.snapshot import NEVER_CAPTURED
from refrain.tracking.record import RunRecord

LOG_FILE = "logs/std_log.txt"
KEPT = ("outputs", "logs")
"""Folders of the working directory that become artifacts of the run (Azure ML's rule)."""

_MOST_NAMED = 5


def prepare(
    folder: str, request: StepRequest, record: RunRecord, read: Mapping[str, str], written: Mapping[str, str]
) -> str:
    """Write what the process needs to know, and return the path of its log."""
    datasets = {port.name: read[port.name] for port in request.step.inputs if port.is_dataset}
    outputs = {port.name: written[port.name] for port in request.step.outputs if port.is_dataset}
    run = request.run
    context = {
        "schema": 1,
        "run_id": record.run_id,
        "name": record.name,
        "experiment": run.experiment,
        "workspace": {"name": run.workspace_name, "root": run.workspace_root},
        "parent": {"run_id": run.root_id, "name": run.pipeline},
        "input_datasets": datasets,
        "output_datasets": outputs,
        "tags": dict(record.tags),
        "properties": dict(record.properties),
    }
    os.makedirs(os.path.join(folder, "logs"), exist_ok=True)
    Path(folder, "context.json").write_text(json.dumps(context))
    return os.path.join(folder, LOG_FILE)


def collect(folder: str, stage: Stage, step: StepDefinition, snapshot: Manifest) -> list[str]:
    """Keep ``./outputs`` and ``./logs`` as artifacts; return remarks on files that were left and are not kept."""
    work = stage.working_directory
    own = {entry.path for entry in snapshot.entries}
    uploads = tuple(f"{p.path_on_compute}" for p in step.outputs if p.mode is OutputMode.UPLOAD)
    left = [path for path in _written(work, own) if not path.startswith(uploads)]
    kept = [path for path in left if path.split("/")[0] in KEPT]
    for path in kept:
        target = Path(folder, "artifacts", path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(str(work / path), target)
    lost = [path for path in left if path not in kept]
    if not lost:
        return []
    names = ", ".join(lost[:_MOST_NAMED]) + (f" and {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else "")
    return [f"files in the working directory are not kept: {names}; write to an output, or below ./outputs"]


def _written(work: Path, own: set[str]) -> list[str]:
    """Return what is in the working directory and was not in the snapshot, by relative path."""
    found = []
    for parent, folders, names in os.walk(work):
        folders[:] = sorted(name for name in folders if name not in NEVER_CAPTURED)
        relative = os.path.relpath(parent, work)
        prefix = "" if relative == "." else f"{relative}/"
        found.extend(prefix + name for name in sorted(names) if prefix + name not in own)
    return found
