"""Stage: the place where a step works, and where its outputs wait until they are complete.

::

    <machine's folder of the workspace>, which is the workspace itself when that is a folder:
    staging/<step run id>/owner.json            who works here, and which folders wait for the commit
    staging/<step run id>/work/                 the working directory: a copy of the snapshot
    staging/<step run id>/home/                 the home of a process in a container
    staging/<step run id>/inputs/               copies of inputs in download mode
    staging/<step run id>/outputs/              outputs that are uploaded afterwards
    staging/<step run id>/datasets/             what datasets are made of that the script gets as objects
    staging/<step run id>/questions/            what the script asks the engine, and the answers
    <datastore>/.refrain-staging/<step run id>/<output>    outputs, on the file system where they will stay
    <cache>/mounts/<step run id>/<input>        links to what was fetched from another file system, or a view of it
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from refrain.compute.computes import Computes
from refrain.compute.processes import is_alive, machine, start_mark
from refrain.data.ports import OutputKind, OutputMode, OutputPort
from refrain.errors import CorruptObjectError, DataError, RefrainError, RunNotFoundError, WorkspaceError, why
from refrain.storage import views
from refrain.storage.datastores import STAGING
from refrain.storage.removal import remove_tree
from refrain.storage.state import WorkspaceState
from refrain.tracking.record import RunStatus, RunStore
from refrain.tracking.run_id import StepRunId
from refrain.values import dataclass

_OWNER = "owner.json"
_SIGNED_AFTER_SECONDS = 60


@dataclass(frozen=True)
class Stage:
    """The folders of one step run while it works. ``outputs`` are the paths that the process writes to, by name.

    :param waiting: folders outside of :attr:`folder` that go when the step ends.
    :param mounts: one of them, for inputs that come from another file system.
    :param compute: the name of the compute target whose job works here.
    """

    run_id: str
    folder: Path
    outputs: dict[str, Path]
    waiting: tuple[Path, ...]
    mounts: Path = Path()
    compute: str | None = None

    @property
    def working_directory(self) -> Path:
        """The working directory of the process."""
        return self.folder / "work"

    @property
    def questions(self) -> Path:
        """The folder of what the script asks the engine, see :mod:`refrain.runtime.questions`."""
        return self.folder / "questions"

    def dataset(self, name: str) -> Path:
        """The file that says what the dataset input *name* is made of, where the script gets it as an object."""
        return self.folder / "datasets" / f"{name}.json"

    def remove(self) -> None:
        """Delete everything that the step left behind but its committed outputs."""
        for folder in self.waiting:
            views.end(folder)
            remove_tree(folder)
            with contextlib.suppress(OSError):
                folder.parent.rmdir()
        remove_tree(self.folder)


def open_stage(
    run_id: StepRunId, ports: tuple[OutputPort, ...], state: WorkspaceState, compute: str | None = None
) -> Stage:
    """Make the folders of a step run; output directories are there before the script starts.

    :param compute: the name of the compute target, which knows what a killed engine leaves running.
    :raises WorkspaceError: when a folder cannot be made.
    :raises DataError: when an output is to be written outside of the working directory.
    """
    folder = state.root / "staging" / str(run_id)
    waiting = {port.name: _waiting(port, folder, state) for port in ports}
    outputs = {port.name: _place(port, folder / "work", waiting[port.name]) for port in ports}
    mounts = state.stores.cache.mounts(str(run_id))
    stage = Stage(str(run_id), folder, outputs, (*sorted(set(waiting.values())), mounts), mounts, compute)
    try:
        folder.mkdir(parents=True)
        _sign(stage)
        stage.working_directory.mkdir()
        stage.questions.mkdir()
        for path in stage.waiting[:-1]:
            _make_waiting(path)
    except OSError as error:
        stage.remove()
        raise WorkspaceError(f"Cannot make the working folder {str(folder)!r}: {why(error)}") from error
    except BaseException:
        stage.remove()
        raise
    return stage


def announce(stage: Stage, uris: Iterable[str]) -> None:
    """Note which places of the step run's own are about to be filled, so that a sweep can empty them.

    :raises WorkspaceError: when it cannot be noted.
    """
    try:
        _sign(stage, tuple(uris))
    except OSError as error:
        raise WorkspaceError(f"Cannot write to {str(stage.folder)!r}: {why(error)}") from error


def make_output_folders(stage: Stage, ports: tuple[OutputPort, ...]) -> None:
    """Make what must be there before the script starts: promised directories, and the parent of everything else.

    Spark makes its folders by itself, and takes one that is there for a result of somebody else's.

    :raises DataError: when the snapshot has a file where an output directory should be.
    """
    for port in ports:
        path = stage.outputs[port.name]
        try:
            is_ours = port.kind is OutputKind.DIRECTORY and port.mode is not OutputMode.HDFS
            (path if is_ours else path.parent).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"The output {port.name!r} cannot be made at {str(path)!r}: {error.strerror}.") from error


def sweep(state: WorkspaceState, is_forgotten: Callable[[float], bool] = lambda _: False) -> list[str]:
    """Remove what killed engines left behind, end their processes, and return the step runs' ids.

    :param is_forgotten: see :func:`abandoned`.
    """
    swept = []
    for name, folder in abandoned(state, is_forgotten):
        owner = _owner(folder)
        if owner is None:
            remove_tree(folder)
            continue
        if not _end_jobs(name, owner["compute"], state) or not _take_back(name, owner["filling"], state):
            continue
        Stage(name, folder, {}, tuple(Path(path) for path in owner["waiting"])).remove()
        _mark_failed(name, state)
        _bring_files(name, state)
        swept.append(name)
    return swept


def abandoned(
    state: WorkspaceState, is_forgotten: Callable[[float], bool] = lambda _: False
) -> Iterator[tuple[str, Path]]:
    """Yield the stages whose engine was killed: the step run's id, and the folder.

    :param is_forgotten: says of a moment since the epoch whether an engine that signed then, on another machine or in
        another container, of which nobody here can know whether it lives, must have ended.
    """
    staging = state.root / "staging"
    for folder in sorted(staging.iterdir()) if staging.is_dir() else ():
        owner = _owner(folder)
        if owner is None:
            if _is_old(folder):
                yield folder.name, folder
        elif _is_dead(owner) if owner["machine"] == machine() else is_forgotten(owner["signed"]):
            yield folder.name, folder


def inside(path: str, what: str) -> str:
    """Return a ``path_on_compute`` without dots.

    :raises DataError: when it leads out of the working directory.
    """
    normal = os.path.normpath(path)
    if os.path.isabs(normal) or normal.split(os.sep)[0] == os.pardir:
        raise DataError(f"{what}: path_on_compute {path!r} leads out of the working directory; make it relative to it.")
    return normal


def _sign(stage: Stage, filling: tuple[str, ...] = ()) -> None:
    owner = {
        "machine": machine(),
        "process": os.getpid(),
        "started": start_mark(os.getpid()),
        "waiting": [str(path) for path in stage.waiting],
        "filling": list(filling),
        "compute": stage.compute,
    }
    temporary = stage.folder / f"{_OWNER}.tmp"
    temporary.write_text(json.dumps(owner))
    os.replace(temporary, stage.folder / _OWNER)


def _end_jobs(run_id: str, compute: str | None, state: WorkspaceState) -> bool:
    """End what a killed engine left running; False when its compute target cannot be asked."""
    try:
        Computes(state).compute(compute).end(run_id)
    except RefrainError:
        return False  # the next sweep tries again
    return True


def _take_back(run_id: str, uris: Iterable[str], state: WorkspaceState) -> bool:
    """Remove what a killed engine had published but not committed; False when the store cannot be reached."""
    try:
        if RunStore(state).get(run_id).status is RunStatus.COMPLETED:
            return True
    except RunNotFoundError:
        pass
    except CorruptObjectError:  # it may speak of a commit
        return True
    except RefrainError:
        return False
    try:
        for uri in uris:
            place = state.stores.at(uri)
            place.store.remove(place.path)
    except RefrainError:
        return False  # the next sweep tries again
    return True


def _waiting(port: OutputPort, folder: Path, state: WorkspaceState) -> Path:
    """Return where an output waits: beside its place, or with the stage when it is to be uploaded."""
    root = state.datastores.get(port.datastore).folder
    return folder / "outputs" if root is None else root / STAGING / folder.name


def _place(port: OutputPort, working_directory: Path, waiting: Path) -> Path:
    if port.mode is OutputMode.UPLOAD:
        return working_directory / inside(str(port.path_on_compute), f"Output {port.name!r}")
    return waiting / port.name


def _make_waiting(path: Path) -> None:
    while True:
        try:
            path.mkdir(parents=True)
        except FileNotFoundError:  # another step has just removed the empty folder above
            continue
        return


def _is_old(folder: Path) -> bool:
    """Say whether the maker of a folder was killed before it could sign it; a young one is being signed right now."""
    with contextlib.suppress(OSError):
        return time.time() - folder.stat().st_mtime > _SIGNED_AFTER_SECONDS
    return False


def _is_dead(owner: dict[str, Any]) -> bool:
    return not is_alive(owner["process"], owner["started"])


def _owner(folder: Path) -> dict[str, Any] | None:
    try:
        with open(folder / _OWNER, encoding="utf-8") as file:
            owner, signed = json.load(file), os.fstat(file.fileno()).st_mtime
        found = {name: owner[name] for name in ("process", "started", "waiting")}
        where = owner.get("machine", "")  # an earlier Refrain said it in another way: as one of another machine
        more = {"machine": where, "filling": owner.get("filling", []), "compute": owner.get("compute")}
        return {**found, **more, "signed": signed}
    except (OSError, ValueError, KeyError, TypeError):
        return None  # being made right now, or not ours


def _mark_failed(run_id: str, state: WorkspaceState) -> None:
    runs = RunStore(state)
    with contextlib.suppress(RefrainError):
        record = runs.get(run_id)
        if not record.status.is_final:
            error = "The process that ran the step was killed."
            runs.update(record, status=RunStatus.FAILED, ended=time.time(), error=error)


def _bring_files(run_id: str, state: WorkspaceState) -> None:
    """Bring what a killed engine had not brought; where that fails, the files stay on this machine."""
    files = RunStore(state).files(run_id)
    with contextlib.suppress(DataError, OSError):
        files.bring()
        files.leave()
