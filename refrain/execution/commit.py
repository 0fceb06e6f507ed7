"""Commit: outputs become visible whole or not at all, and only then does a record say that they exist.

The order is what makes a crash harmless: outputs are moved to their place and flushed, then their manifests are
stored, then the caller writes the run record and, last, the reuse record. Until that last write nobody can reuse
anything, whatever a killed process left behind.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from refrain.data.handle import DataHandle, file_uri
from refrain.data.ports import OutputKind, OutputPort
from refrain.errors import DataError, OutputError
from refrain.execution.stage import Stage
from refrain.storage.manifest import Manifest, TreeKind
from refrain.storage.state import WorkspaceState
from refrain.storage.trees import OUTPUT

_SYNC_EACH_UP_TO = 256


def commit_outputs(
    stage: Stage, ports: tuple[OutputPort, ...], state: WorkspaceState, step_name: str
) -> dict[str, DataHandle]:
    """Publish a step's outputs and return references to them.

    All outputs are checked before the first is moved; when moving fails, what was moved to a place of this run's own
    is removed again.

    :raises OutputError: an output is missing, empty, not storable, or stands in the way of existing data.
    """
    for port in ports:
        _require_produced(stage.outputs[port.name], port, step_name)
    manifests = {port.name: _manifest(stage.outputs[port.name], port, state, step_name) for port in ports}
    targets = {port.name: state.datastores.get(port.datastore).resolve(port.path_for(stage.run_id)) for port in ports}
    for port in ports:
        _require_free(stage.outputs[port.name], targets[port.name], port, step_name)
    moved: list[Path] = []
    try:
        for port in ports:
            _flush(stage.outputs[port.name], manifests[port.name])
            _move(stage.outputs[port.name], targets[port.name])
            if not port.is_shared:
                moved.append(targets[port.name])
        return {port.name: _publish(targets[port.name], port, manifests[port.name], state) for port in ports}
    except OSError as error:
        for target in moved:
            _remove(target)
        raise OutputError(f"Step {step_name!r}: its outputs cannot be stored: {error}") from error


def _require_produced(path: Path, port: OutputPort, step_name: str) -> None:
    if not path.exists():
        raise OutputError(
            f"Step {step_name!r} ended well, but its output {port.name!r} was not written to {str(path)!r}. The script "
            "gets that path where the output stands in its arguments."
        )
    if path.is_dir() and not any(True for _ in _files(path)):
        raise OutputError(
            f"Step {step_name!r} ended well, but its output {port.name!r} at {str(path)!r} is an empty directory."
        )
    if port.kind is OutputKind.DIRECTORY and not path.is_dir():
        raise OutputError(
            f"Step {step_name!r}: its output {port.name!r} at {str(path)!r} must be a directory, not a file."
        )


def _manifest(path: Path, port: OutputPort, state: WorkspaceState, step_name: str) -> Manifest:
    if port.globs and path.is_dir():
        for file in list(_files(path)):
            if not any(
                fnmatch(file, pattern) or fnmatch(os.path.relpath(file, path), pattern) for pattern in port.globs
            ):
                os.unlink(file)
        _require_produced(path, port, step_name)
    try:
        return state.trees.manifest(path, OUTPUT)
    except DataError as error:
        raise OutputError(f"Step {step_name!r}: its output {port.name!r} cannot be stored: {error}") from error


def _require_free(source: Path, target: Path, port: OutputPort, step_name: str) -> None:
    """Refuse to replace files at a shared place unless the output says that it may."""
    if not target.exists() or port.overwrite:
        return
    taken = [_below(target, file, source) for file in _files(source)] if source.is_dir() else [target]
    clash = next((path for path in taken if path.exists()), None)
    if clash is not None:
        raise OutputError(
            f"Step {step_name!r}: its output {port.name!r} would replace {str(clash)!r}. Pass overwrite=True, or put "
            "{run-id} into its destination."
        )


def _publish(target: Path, port: OutputPort, written: Manifest, state: WorkspaceState) -> DataHandle:
    """Store the manifest of what consumers will see: at a shared place, that may be more than what was written now."""
    manifest = state.trees.manifest(target, OUTPUT) if port.is_shared else written
    state.blobs.put_manifest(manifest)
    return DataHandle(file_uri(target), manifest.kind, manifest.digest, manifest.files, manifest.bytes)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        _rename(source, target)
        return
    if source.is_dir() != target.is_dir():
        raise OSError(f"{str(target)!r} is in the way")
    if not source.is_dir():
        _replace(source, target)
        return
    for file in list(_files(source)):
        place = _below(target, file, source)
        place.parent.mkdir(parents=True, exist_ok=True)
        _replace(Path(file), place)


def _rename(source: Path, target: Path) -> None:
    try:
        os.rename(source, target)
    except OSError:  # another file system, as in upload mode: copy beside the target, then rename
        waiting = target.with_name(f".refrain-{os.getpid()}-{target.name}")
        _remove(waiting)
        if source.is_dir():
            shutil.copytree(source, waiting, symlinks=True)
        else:
            shutil.copyfile(source, waiting)
        os.rename(waiting, target)


def _replace(source: Path, target: Path) -> None:
    waiting = target.with_name(f".refrain-{os.getpid()}-{target.name}")
    _rename(source, waiting)
    os.replace(waiting, target)


def _flush(path: Path, manifest: Manifest) -> None:
    """Get the bytes onto the disk, so that no record outlives its data through a loss of power."""
    if len(manifest.entries) > _SYNC_EACH_UP_TO:
        os.sync()
        return
    for file in _files(path) if manifest.kind is TreeKind.DIRECTORY else [str(path)]:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _files(folder: Path) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        yield from (os.path.join(parent, name) for name in names)


def _below(target: Path, file: str, source: Path) -> Path:
    return target / os.path.relpath(file, source)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
