"""Inputs: from a port to data with a digest, and to the path by which a process finds it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from refrain.data.handle import DataHandle
from refrain.data.ports import FromDatabase, FromDatastore, FromFiles, FromModel, FromStep, InputMode, InputPort
from refrain.errors import DataError, DataNotFoundError, InputChangedError, ModelNotFoundException
from refrain.execution.stage import Stage, inside
from refrain.steps.codec import encode
from refrain.storage import views
from refrain.storage.digest import digest_bytes
from refrain.storage.identity import DataIdentity
from refrain.storage.manifest import MISSING, Basis, Entry, Manifest, TreeKind
from refrain.storage.pattern import is_pattern, literal_part
from refrain.storage.state import WorkspaceState
from refrain.storage.store import Place, common_folder, is_below
from refrain.storage.stores import Stores
from refrain.storage.trees import DATA
from refrain.values import dataclass

if TYPE_CHECKING:
    from refrain.execution.datasets import MadeDataset
    from refrain.execution.queries import QueriedDataset

Member = tuple[str, Place]


@dataclass(frozen=True)
class ResolvedInput:
    """One input's data.

    :param members: ``(path in the input, place)`` of each part when the input is put together from several places;
        empty when the handle's place is the data.
    :param made: the dataset that is made of it by the port's recipe.
    :param version: of a registered model.
    """

    port: InputPort
    handle: DataHandle
    members: tuple[Member, ...] = ()
    made: MadeDataset | QueriedDataset | None = None
    version: int | None = None

    @property
    def is_whole(self) -> bool:
        """Say whether the data is all that is at the handle's place."""
        return not self.members and self.made is None

    @property
    def counted(self) -> DataHandle:
        """The handle as a fingerprint counts it."""
        if self.made is None or not self.is_ours:
            return self.handle
        return replace(self.handle, digest=self.made.told_with(self.handle.digest))

    @property
    def is_ours(self) -> bool:
        """Say whether an earlier step wrote the data."""
        return not isinstance(self.port.source, (FromFiles, FromDatastore, FromDatabase, FromModel))

    @property
    def is_missing(self) -> bool:
        """Say whether there is nothing at the place, which a reference to a datastore may name."""
        return self.handle.kind is TreeKind.MISSING

    @property
    def remark(self) -> str:
        """What the user should know of the input before the step starts; empty for nothing."""
        if not self.is_missing or self.port.mode is not InputMode.DOWNLOAD:
            return ""
        return f"input {self.port.name!r}: nothing is at {self.handle.location!r}, so that nothing was downloaded"


def resolve(
    port: InputPort, handles: Mapping[str, DataHandle | tuple[DataHandle, ...]], state: WorkspaceState, step_name: str
) -> ResolvedInput:
    """Find an input's data and its identity.

    :raises DataNotFoundError: when files do not exist, or a step before has not published the data.
    :raises DataError: when data cannot be read.
    """
    try:
        outside = _from_outside(port, state)
    except (DataError, ModelNotFoundException) as error:
        raise type(error)(f"Step {step_name!r}, input {port.name!r}: {error}") from error
    if outside is not None:
        return outside
    if port.name not in handles:
        source = (
            f"output {port.source.output!r} of step {port.source.step!r}" if isinstance(port.source, FromStep) else ""
        )
        raise DataNotFoundError(
            f"Step {step_name!r}, input {port.name!r}: {source or 'its data'} has not been published."
        )
    given = handles[port.name]
    item = _gathered(port, given, state.stores) if isinstance(given, tuple) else ResolvedInput(port, given)
    return _of_output(item, state.stores, step_name) if port.recipe else item


def _from_outside(port: InputPort, state: WorkspaceState) -> ResolvedInput | None:
    """Resolve what no step writes; None for all else."""
    source, stores = port.source, state.stores
    if isinstance(source, FromDatabase):
        return _of_database(port, source, state)
    if isinstance(source, FromModel):
        from refrain.data.models.record import ModelVersions

        version, handle = ModelVersions(state.registry).handle(source, state)
        return ResolvedInput(port, handle, version=version)
    if isinstance(source, (FromFiles, FromDatastore)) and state.data_identity is DataIdentity.DEFINITION:
        return _by_definition(port, source, state)
    if isinstance(source, FromFiles):
        if port.recipe:
            return _of_files(port, stores.of(source.locations), stores)
        return _resolve_files(port, source, stores)
    if isinstance(source, FromDatastore):
        return ResolvedInput(port, _handle(stores.on(source.datastore, source.path)))
    return None


def provide(item: ResolvedInput, stage: Stage, stores: Stores) -> str:
    """Return the path that the process gets; make a copy or a folder of links where the port asks for one.

    :raises DataError: when the copy cannot be made.
    """
    target, view = _target(item.port, stage.working_directory), stage.mounts / item.port.name
    try:
        if item.made is not None:
            return item.made.provide(item.port.mode, target, view, stage.dataset(item.port.name))
        return _provided(item, stores.at(item.handle.uri), target, view)
    except (OSError, shutil.Error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"Input {item.port.name!r} cannot be put at {str(target)!r}: {error}.") from error


def _provided(item: ResolvedInput, place: Place, target: Path, view: Path) -> str:
    mode = item.port.mode
    if item.members:
        _gather(item.members, target, view, is_copy=mode is InputMode.DOWNLOAD)
        return str(target)
    if mode is InputMode.DIRECT:
        return place.path
    if item.is_missing and mode is InputMode.DOWNLOAD:
        target.parent.mkdir(parents=True, exist_ok=True)
        return str(target)
    is_lazy = mode is InputMode.MOUNT and views.are_lazy()
    source = (place.in_place or view) if item.is_missing else place.store.mount(place.path, view, is_lazy=is_lazy)
    if mode is InputMode.DOWNLOAD:
        is_named = item.port.path_on_compute or item.handle.kind is TreeKind.DIRECTORY
        return str(_copy(source, target if is_named else target / place.name))
    if item.port.path_on_compute and mode is InputMode.MOUNT:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)
        return str(target)
    return str(source)


def require_filled(item: ResolvedInput, state: WorkspaceState, step_name: str) -> None:
    """Refuse, before a step starts, data in a folder that a copy is filling. Who reuses a result has nothing to fear.

    :raises DataError: when it is.
    """
    if isinstance(item.port.source, FromDatabase) or item.is_ours:
        return
    places = [place for _, place in item.members]
    if item.made is not None:
        from refrain.execution.datasets import MadeDataset

        assert isinstance(item.made, MadeDataset)  # noqa: S101  # only a database's is the other one
        places = list({Place(file.at.store, os.path.dirname(file.at.path)): None for file in item.made.needed})
    try:
        for place in places or [state.stores.at(item.handle.uri)]:
            place.require_filled()
    except DataError as error:
        raise type(error)(f"Step {step_name!r}, input {item.port.name!r}: {error}") from error


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
            f"Step {step_name!r}: its input {item.port.name!r} at {state.stores.at(item.handle.uri)} is no longer what "
            "an earlier step wrote: it was changed or deleted since. Run the whole pipeline again (on Airflow, clear "
            "that step); the step that wrote it will notice and run."
        )


def require_unchanged(item: ResolvedInput, state: WorkspaceState, step_name: str) -> bool:
    """Say whether an input is still what the fingerprint counted; False means the result cannot be kept for reuse.

    :raises InputChangedError: when the data belongs to an earlier step, whose result would now be wrong.
    """
    if item.made is not None and item.made.is_kept:  # the process got the very rows that were counted
        return True
    try:
        now = _digest_now(item, state, step_name)
    except DataError:
        now = ""
    if now == item.handle.digest:
        return True
    if item.is_ours:
        raise InputChangedError(
            f"Step {step_name!r} changed its input {item.port.name!r} at {state.stores.at(item.handle.uri)}, which "
            "belongs to the step that wrote it. Write to a declared output instead, or take the input with "
            "as_download()."
        )
    return False


def _digest_now(item: ResolvedInput, state: WorkspaceState, step_name: str) -> str:
    if not item.is_ours and item.version is None:  # of a model, the version that was read counts, not the newest one
        return resolve(item.port, {}, state, step_name).handle.digest
    if item.members:
        return _joined(item.members).digest
    return _handle(state.stores.at(item.handle.uri)).digest


def _gathered(port: InputPort, handles: tuple[DataHandle, ...], stores: Stores) -> ResolvedInput:
    """Put the outputs of a mapped step together: one entry for each instance, named by its index."""
    if not handles:
        raise DataNotFoundError(f"Input {port.name!r} gathers the outputs of a mapped step that has no instances.")
    members = tuple((str(index), stores.at(handle.uri)) for index, handle in enumerate(handles))
    return _combined(port, members)


def _handle(place: Place) -> DataHandle:
    try:
        identity = place.identify(DATA)
    except DataNotFoundError:
        return DataHandle(place.uri, TreeKind.MISSING, MISSING.digest, 0, 0)
    return DataHandle(place.uri, identity.kind, identity.digest, identity.files, identity.bytes)


def _resolve_files(port: InputPort, source: FromFiles, stores: Stores) -> ResolvedInput:
    places = stores.of(source.locations)
    if len(places) == 1 and not places[0].is_pattern():
        handle = _handle(places[0])
        if handle.kind is TreeKind.MISSING:
            raise DataNotFoundError(f"there is nothing at {places[0].path!r}.")
        return ResolvedInput(port, handle)
    return _combined(port, _named_members(_expanded(places)))


def _of_files(port: InputPort, places: list[Place], stores: Stores) -> ResolvedInput:
    from refrain.execution.datasets import make

    made = make(port.recipe, places, stores)
    uri = _folder_uri(places[0]) if places else "dataset://none"
    handle = DataHandle(uri, TreeKind.DIRECTORY, made.digest(), len(made.needed), made.bytes)
    return ResolvedInput(port, handle, made=made)


def _of_database(port: InputPort, source: FromDatabase, state: WorkspaceState) -> ResolvedInput:
    """Ask the database, and keep its rows for the process; where the definition counts, ask when the step runs."""
    from refrain.execution.queries import ask

    queried = ask(port.recipe, source.datastore, state.stores)
    if state.data_identity is DataIdentity.DEFINITION:
        definition = json.dumps([encode(source), queried.dataset.identity], sort_keys=True)
        digest, size = digest_bytes(b"definition\n" + definition.encode()), 0
    else:
        queried = queried.answered()
        digest, size = queried.digest, queried.size
    handle = DataHandle(f"database://{source.datastore}", TreeKind.FILE, digest, 1, size)
    return ResolvedInput(port, handle, made=queried)


def _of_output(item: ResolvedInput, stores: Stores, step_name: str) -> ResolvedInput:
    from refrain.execution.datasets import make

    places = [place for _, place in item.members] or [stores.at(item.handle.uri)]
    try:
        return replace(item, made=make(item.port.recipe, places, stores))
    except DataError as error:
        raise type(error)(f"Step {step_name!r}, input {item.port.name!r}: {error}") from error


def _folder_uri(place: Place) -> str:
    return place.store.uri(literal_part(place.path) if is_pattern(place.path) else place.path)


def _named_members(places: Sequence[Place]) -> tuple[Member, ...]:
    """Name files by their layout below the folder that all have in common."""
    base = common_folder(places)
    return tuple((place.path[len(base) :].replace("://", "/").lstrip("/"), place) for place in places)


def _expanded(places: list[Place]) -> list[Place]:
    """Expand globs, to files only; a place that is named without one may be a folder, and stands for what is in it."""
    found, named = dict[str, Place](), set[str]()
    for place in places:
        is_glob = place.is_pattern()
        paths = place.store.match(place.path) if is_glob else [place.path]
        if not paths or not (is_glob or place.exists()):
            raise DataNotFoundError(f"{place.path!r} matches no file. To take a folder, name it without a pattern.")
        found.update((path, Place(place.store, path)) for path in paths)
        named.update(() if is_glob else paths)
    return [found[path] for path in sorted(found) if not is_below(path, named)]


def _combined(port: InputPort, members: tuple[Member, ...]) -> ResolvedInput:
    """Make one input of several places; its URI is that of the folder which they have in common."""
    manifest = _joined(members)
    handle = DataHandle(_base(members), TreeKind.DIRECTORY, manifest.digest, manifest.files, manifest.bytes)
    return ResolvedInput(port, handle, members)


def _base(members: tuple[Member, ...]) -> str:
    first = members[0][1]
    return first.store.uri(common_folder([place for _, place in members]) or first.path)


def _by_definition(port: InputPort, source: FromFiles | FromDatastore, state: WorkspaceState) -> ResolvedInput:
    """Identify data by where it is said to be; that it exists is checked, its bytes are not read."""
    digest = digest_bytes(b"definition\n" + json.dumps(encode(source), sort_keys=True).encode())
    members: tuple[Member, ...] = ()
    if isinstance(source, FromFiles) and port.recipe:
        found_now = _of_files(port, state.stores.of(source.locations), state.stores)
        return replace(found_now, handle=replace(found_now.handle, digest=digest))
    if isinstance(source, FromFiles):
        places = state.stores.of(source.locations)
        found = _expanded(places)
        if len(places) > 1 or places[0].is_pattern():
            members = _named_members(found)
        uri, kind = (_base(members), TreeKind.DIRECTORY) if members else (found[0].uri, _kind(found[0]))
    else:
        place = state.stores.on(source.datastore, source.path)
        uri, kind = place.uri, _kind(place)
    return ResolvedInput(port, DataHandle(uri, kind, digest, 0, 0), members)


def _kind(place: Place) -> TreeKind:
    local = place.in_place
    if local is None:
        return _handle(place).kind
    return TreeKind.DIRECTORY if local.is_dir() else TreeKind.FILE if local.exists() else TreeKind.MISSING


def _joined(members: tuple[Member, ...]) -> Manifest:
    entries: list[Entry] = []
    basis = Basis.CONTENT
    for relative, place in members:
        manifest = place.manifest(DATA)
        if manifest.basis is Basis.LISTING:
            basis = Basis.LISTING
        for entry in manifest.entries:
            path = f"{relative}/{entry.path}" if entry.path else relative
            entries.append(Entry(path, entry.size, entry.digest))
    return Manifest(TreeKind.DIRECTORY, tuple(entries), basis)


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


def _gather(members: tuple[Member, ...], target: Path, view: Path, is_copy: bool) -> None:
    for index, (relative, place) in enumerate(members):
        copy = target / relative
        copy.parent.mkdir(parents=True, exist_ok=True)
        # File by file: a walk through the input finds nothing behind a link to a folder.
        _copy(place.store.mount(place.path, view / str(index)), copy, shutil.copyfile if is_copy else os.symlink)


def _copy(source: Path, target: Path, copy_file: Callable[[str, str], object] = shutil.copyfile) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=copy_file, dirs_exist_ok=True)
    else:
        copy_file(str(source), str(target))
    return target
