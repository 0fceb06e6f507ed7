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

import contextlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from refrain.compute.output import mask_file
from refrain.data.ports import MODELS_FOLDER, InputMode
from refrain.errors import WorkspaceError, why
from refrain.execution.request import StepRequest
from refrain.execution.stage import Stage
from refrain.steps.definition import StepDefinition
from refrain.storage.manifest import Manifest
from refrain.storage.snapshot import NEVER_CAPTURED
from refrain.tracking.record import RunRecord

LOG_FILE = "logs/std_log.txt"
LOGS = "logs"
KEPT = ("outputs", LOGS)
"""Folders of the working directory that become artifacts of the run (Azure ML's rule)."""

_MOST_NAMED = 5


def prepare(
    folder: str,
    request: StepRequest,
    record: RunRecord,
    read: Mapping[str, str],
    written: Mapping[str, str],
    stage: Stage,
) -> str:
    """Write what the process needs to know, and return the path of its log.

    :raises WorkspaceError: when it cannot be written.
    """
    inputs = [port for port in request.step.inputs if port.is_dataset]
    objects = {p.name: str(stage.dataset(p.name)) for p in inputs if p.recipe and p.mode is InputMode.DIRECT}
    paths = {port.name: read[port.name] for port in inputs if port.name not in objects}
    ports = [port for port in request.step.outputs if port.is_dataset]
    outputs = {port.name: written[port.name] for port in ports if not port.kind.linked}
    links = {port.name: {"kind": port.kind.linked, "path": written[port.name]} for port in ports if port.kind.linked}
    run = request.run
    context = {
        "schema": 1,
        "run_id": record.run_id,
        "name": record.name,
        "experiment": run.experiment,
        "workspace": {"name": run.workspace_name, "root": run.workspace_root},
        "parent": {"run_id": run.root_id, "name": run.pipeline},
        "input_datasets": paths,
        "datasets": objects,
        "output_datasets": outputs,
        "output_links": links,
        "tags": dict(record.tags),
        "properties": dict(record.properties),
        "questions": str(stage.questions),
    }
    try:
        os.makedirs(os.path.join(folder, "logs"), exist_ok=True)
        Path(folder, "context.json").write_text(json.dumps(context))
    except OSError as error:
        raise WorkspaceError(f"Cannot write to the run folder {folder!r}: {why(error)}") from error
    return os.path.join(folder, LOG_FILE)


def collect(
    folder: str, stage: Stage, step: StepDefinition, snapshot: Manifest, secrets: Sequence[str] = ()
) -> list[str]:
    """Keep ``./outputs`` and ``./logs`` as artifacts; return remarks on what was left and is not kept.

    A file that the script uploaded under the same name stays as it was uploaded. Never fails: a run must not be lost
    for want of its artifacts.

    :param secrets: texts that are masked in ``./logs``, as they are in the output.
    """
    work = stage.working_directory
    provided = [stage.outputs[port.name] for port in step.outputs]
    provided.append(work / MODELS_FOLDER)
    provided += [work / port.path_on_compute for port in step.inputs if port.path_on_compute]
    skipped = {os.path.normpath(path) for path in provided}
    own = {entry.path for entry in snapshot.entries}
    left = [path for path in _written(str(work), skipped) if path not in own]
    kept = [path for path in left if path.split("/")[0] in KEPT]
    failed = [path for path in kept if not _keep(work, path, os.path.join(folder, "artifacts", path), secrets)]
    lost = [path for path in left if path not in kept]
    notes = []
    if failed:
        notes.append(f"files could not be kept as artifacts: {_some(failed)}")
    if lost:
        notes.append(
            f"files in the working directory are not kept: {_some(lost)}; write to an output, or below ./outputs"
        )
    return notes


def _keep(work: Path, path: str, target: str, secrets: Sequence[str]) -> bool:
    if os.path.lexists(target):
        return True
    source = str(work / path)
    if not os.path.isfile(source):  # a pipe would be waited for by whoever copies it, and a device has no end
        return False
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.islink(source):  # what it leads to may be gone with the working directory
            shutil.copyfile(source, target)
        else:
            shutil.move(source, target)
        if path.startswith(f"{LOGS}/"):
            mask_file(target, secrets)
    except (OSError, shutil.Error):
        with contextlib.suppress(OSError):
            os.unlink(target)
        return False
    return True


def _written(work: str, skipped: set[str]) -> list[str]:
    """Return the files in the working directory by relative path, but for what is at or below the paths *skipped*."""
    found: list[str] = []
    for parent, folders, names in os.walk(work):
        folders[:] = sorted(f for f in folders if f not in NEVER_CAPTURED and os.path.join(parent, f) not in skipped)
        relative = os.path.relpath(parent, work)
        prefix = "" if relative == "." else f"{relative}/"
        found.extend(prefix + name for name in sorted(names) if os.path.join(parent, name) not in skipped)
    return found


def _some(paths: list[str]) -> str:
    more = len(paths) - _MOST_NAMED
    return ", ".join(paths[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
