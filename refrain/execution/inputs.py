"""Inputs: from a port to data with a digest, and to the path by which a process finds it."""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from refrain.data.handle import DataHandle, file_uri
from refrain.data.ports import FromDatastore, FromFiles, FromStep, InputMode, InputPort
from refrain.errors import DataError, DataNotFoundError, InputChangedError
from refrain.execution.stage import inside
from refrain.steps.codec import encode
from refrain.storage.digest import digest_bytes
from refrain.storage.identity import DataIdentity
from refrain.storage.manifest import MISSING, Entry, Manifest, TreeKind
from refrain.storage.state import WorkspaceState
from refrain.storage.trees import DATA, Trees


@dataclass(frozen=True)
class ResolvedInput:
    """One input's data.

    :param members: ``(path in the input, local path)`` of each part when the input is put together from several
        places; empty when ``handle.path`` is the data.
    """

    port: InputPort
    handle: DataHandle
    members: tuple[tuple[str, str], ...] = ()

    @property
    def is_ours(self) -> bool:
        """Say whether an earlier step wrote the data."""
        return not isinstance(self.port.source, (FromFiles, FromDatastore))


def resolve(
    port: InputPort, handles: Mapping[str, DataHandle | tuple[DataHandle, ...]], state: WorkspaceState, step_name: str
) -> ResolvedInput:
    """Find an input's data and its identity.

    :raises DataNotFoundError: when files do not exist, or a step before has not published the data.
    :raises DataError: when data cannot be read.
    """
    try:
        if isinstance(port.source, (FromFiles, FromDatastore)) and state.data_identity is DataIdentity.DEFINITION:
            return _by_definition(port, port.source, state)
        if isinstance(port.source, FromFiles):
            return _resolve_files(port, port.source, state)
        if isinstance(port.source, FromDatastore):
            path = state.datastores.get(port.source.datastore).resolve(port.source.path)
            return ResolvedInput(port, _handle(path, state.trees))
    except DataError as error:
        raise type(error)(f"Step {step_name!r}, input {port.name!r}: {error}") from error
    if port.name not in handles:
        source = (
            f"output {port.source.output!r} of step {port.source.step!r}" if isinstance(port.source, FromStep) else ""
        )
        raise DataNotFoundError(
            f"Step {step_name!r}, input {port.name!r}: {source or 'its data'} has not been published."
        )
    given = handles[port.name]
    return _gathered(port, given, state.trees) if isinstance(given, tuple) else ResolvedInput(port, given)


def provide(item: ResolvedInput, working_directory: Path) -> str:
    """Return the path that the process gets; make a copy or a folder of links where the port asks for one.

    :raises DataError: when the copy cannot be made.
    """
    target = _target(item.port, working_directory)
    try:
        if item.members:
            _gather(item.members, target, is_copy=item.port.mode is InputMode.DOWNLOAD)
            return str(target)
        if item.port.mode is InputMode.DOWNLOAD and item.handle.kind is not TreeKind.MISSING:
            is_named = item.port.path_on_compute or item.handle.kind is TreeKind.DIRECTORY
            return str(_copy(item.handle.path, target if is_named else target / item.handle.path.name))
        if item.port.path_on_compute and item.port.mode is InputMode.MOUNT:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(item.handle.path)
            return str(target)
    except (OSError, shutil.Error) as error:
        raise DataError(f"Input {item.port.name!r} cannot be put at {str(target)!r}: {error}.") from error
    return str(item.handle.path)


def require_as_written(item: ResolvedInput, state: WorkspaceState, step_name: str) -> None:
    """Check, before a step starts, that what an earlier step wrote is still that.

    :raises InputChangedError: when it is not, so that nothing is made of data that nobody vouches for.
    """
    if not item.is_ours:
        return
    try:
        now = _digest_now(item, state, step_name)
    except DataError as error:
        now = str(error)
    if now != item.handle.digest:
        raise InputChangedError(
            f"Step {step_name!r}: its input {item.port.name!r} at {item.handle.path} is no longer what an earlier step "
            "wrote: it was changed or deleted since. Run the whole pipeline again (on Airflow, clear that step); the "
            "step that wrote it will notice and run."
        )


def require_unchanged(item: ResolvedInput, state: WorkspaceState, step_name: str) -> bool:
    """Say whether an input is still what the fingerprint counted; False means the result cannot be kept for reuse.

    :raises InputChangedError: when the data belongs to an earlier step, whose result would now be wrong.
    """
    try:
        now = _digest_now(item, state, step_name)
    except DataError:
        now = ""
    if now == item.handle.digest:
        return True
    if item.is_ours:
        raise InputChangedError(
            f"Step {step_name!r} changed its input {item.port.name!r} at {item.handle.path}, which belongs to the step "
            "that wrote it. Write to a declared output instead, or take the input with as_download()."
        )
    return False


def _digest_now(item: ResolvedInput, state: WorkspaceState, step_name: str) -> str:
    if not item.is_ours:
        return resolve(item.port, {}, state, step_name).handle.digest
    if item.members:
        return _joined(item.members, state.trees).digest
    return _handle(item.handle.path, state.trees).digest


def _gathered(port: InputPort, handles: tuple[DataHandle, ...], trees: Trees) -> ResolvedInput:
    """Put the outputs of a mapped step together: one entry for each instance, named by its index."""
    if not handles:
        raise DataNotFoundError(f"Input {port.name!r} gathers the outputs of a mapped step that has no instances.")
    members = tuple((str(index), str(handle.path)) for index, handle in enumerate(handles))
    manifest = _joined(members, trees)
    uri = os.path.commonpath([os.path.dirname(local) for _, local in members])
    handle = DataHandle(file_uri(Path(uri)), TreeKind.DIRECTORY, manifest.digest, manifest.files, manifest.bytes)
    return ResolvedInput(port, handle, members)


def _handle(path: Path, trees: Trees) -> DataHandle:
    try:
        identity = trees.identify(path, DATA)
    except DataNotFoundError:
        return DataHandle(file_uri(path), TreeKind.MISSING, MISSING.digest, 0, 0)
    return DataHandle(file_uri(path), identity.kind, identity.digest, identity.files, identity.bytes)


def _resolve_files(port: InputPort, source: FromFiles, state: WorkspaceState) -> ResolvedInput:
    paths = [_absolute(store, path, state) for store, path in source.locations]
    if len(paths) == 1 and not glob.has_magic(paths[0]):
        handle = _handle(Path(paths[0]), state.trees)
        if handle.kind is TreeKind.MISSING:
            raise DataNotFoundError(f"there is nothing at {paths[0]!r}.")
        return ResolvedInput(port, handle)
    members = _members(paths)
    manifest = _joined(members, state.trees)
    base = os.path.commonpath([local for _, local in members])
    handle = DataHandle(file_uri(Path(base)), TreeKind.DIRECTORY, manifest.digest, manifest.files, manifest.bytes)
    return ResolvedInput(port, handle, members)


def _by_definition(port: InputPort, source: FromFiles | FromDatastore, state: WorkspaceState) -> ResolvedInput:
    """Identify data by where it is said to be; that it exists is checked, its bytes are not read."""
    places = source.locations if isinstance(source, FromFiles) else ((source.datastore, source.path),)
    paths = [_absolute(store, path, state) for store, path in places]
    digest = digest_bytes(b"definition\n" + json.dumps(encode(source), sort_keys=True).encode())
    members: tuple[tuple[str, str], ...] = ()
    place = Path(paths[0])
    if isinstance(source, FromFiles):
        found = _members(paths)
        if len(paths) > 1 or glob.has_magic(paths[0]):
            members, place = found, Path(os.path.commonpath([local for _, local in found]))
    kind = TreeKind.DIRECTORY if place.is_dir() else TreeKind.FILE if place.exists() else TreeKind.MISSING
    return ResolvedInput(port, DataHandle(file_uri(place), kind, digest, 0, 0), members)


def _absolute(store: str | None, path: str, state: WorkspaceState) -> str:
    return path if store is None else str(state.datastores.get(store).resolve(path))


def _members(paths: list[str]) -> tuple[tuple[str, str], ...]:
    """Expand globs; files keep their layout below the folder that all patterns have in common."""
    matches: list[str] = []
    for path in paths:
        found = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else [path]
        if not found or not os.path.exists(found[0]):
            raise DataNotFoundError(f"{path!r} matches nothing.")
        matches.extend(f for f in found if not glob.has_magic(path) or os.path.isfile(f))
    unique = sorted(set(matches))
    if not unique:
        raise DataNotFoundError(f"{paths!r} match folders only; name the folder, or end the pattern with a file name.")
    base = os.path.commonpath([os.path.dirname(path) for path in unique])
    return tuple((os.path.relpath(path, base), path) for path in unique)


def _joined(members: tuple[tuple[str, str], ...], trees: Trees) -> Manifest:
    entries: list[Entry] = []
    for relative, local in members:
        for entry in trees.manifest(local, DATA).entries:
            path = f"{relative}/{entry.path}" if entry.path else relative
            entries.append(Entry(path, entry.size, entry.digest))
    return Manifest(TreeKind.DIRECTORY, tuple(entries))


def _target(port: InputPort, working_directory: Path) -> Path:
    """Return where a copy goes: ``path_on_compute``, or a folder beside the working directory, out of the script's way.

    An absolute ``path_on_compute``, made for a machine that is thrown away, is kept as a path in that folder: two runs
    would else be in each other's way, and what one left behind would be read by the next.
    """
    aside = working_directory.parent / "inputs" / port.name
    if not port.path_on_compute:
        return aside
    if os.path.isabs(port.path_on_compute):
        return aside / inside(port.path_on_compute.lstrip("/"), f"Input {port.name!r}")
    return working_directory / inside(port.path_on_compute, f"Input {port.name!r}")


def _gather(members: tuple[tuple[str, str], ...], target: Path, is_copy: bool) -> None:
    for relative, local in members:
        place = target / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        # File by file: a walk through the input finds nothing behind a link to a folder.
        _copy(Path(local), place, shutil.copyfile if is_copy else os.symlink)


def _copy(source: Path, target: Path, copy_file: Callable[[str, str], object] = shutil.copyfile) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=copy_file, dirs_exist_ok=True)
    else:
        copy_file(str(source), str(target))
    return target
