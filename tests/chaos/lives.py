"""Lives: runs of a small pipeline and of the cleaning, each in a process of its own, and a look at what they leave.

Everything here runs in the processes of :mod:`chaos.nursery`, and takes and returns plain values.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.effects import Effects
from chaos.folder_store import PROTOCOL, register
from fakes.project import COPIES, Project, Ran
from refrain import PipelineData, PythonScriptStep
from refrain.data.handle import DataHandle
from refrain.errors import RefrainError
from refrain.execution.cleaning import Cleaning
from refrain.reuse.record import RecordStore
from refrain.storage.retention import Retention
from refrain.storage.state import WorkspaceState
from refrain.tracking.record import RunRecord, RunStatus, RunStore

DAY = 24 * 3600.0
MAKES = """
    import os, sys
    open(sys.argv[1], "w").write("made " * 40)
    os.makedirs(sys.argv[2] + "/deep", exist_ok=True)
    for name in ("a", "deep/b"):
        open(sys.argv[2] + "/" + name, "w").write(name * 20)
"""
GOLDEN = {
    "made": {"out": {"": b"made " * 40}, "parts": {"a": b"a" * 20, "deep/b": b"deep/b" * 20}},
    "copy": {"copied": {"": b"made " * 40}},
}
"""What a run that nobody disturbs makes: by step and output, the bytes of each file."""

_NEEDS_ROOM = ("create", "write", "flush", "mkdir", "link", "symlink")

register()


@dataclass(frozen=True)
class Home:
    """Where a project lives; its workspace is in it, too, as a folder or as an object store.

    :param url: of a workspace that is somewhere else, reached by *connection*.
    """

    folder: Path
    is_remote: bool = False
    url: str = ""
    connection: str = ""

    @property
    def root(self) -> str:
        """The root of the workspace."""
        inside = f"{PROTOCOL}://{self.folder}/store" if self.is_remote else str(self.folder / "workspace")
        return self.url or inside

    @property
    def environment(self) -> dict[str, str]:
        """What its processes need."""
        needed = {"REFRAIN_CACHE": str(self.folder / "cache"), "REFRAIN_LEASE_SECONDS": "0.5"}
        return {**needed, "AIRFLOW_CONN_FAR": self.connection} if self.connection else needed

    def project(self) -> Project:
        """Return the project; its scripts are there."""
        return Project(self.folder, self.root)

    def age(self, days: float) -> None:
        """Let everything that is stored have been written *days* earlier."""
        for path in self.folder.rglob("*"):
            status = path.lstat()
            times = (status.st_atime - days * DAY, status.st_mtime - days * DAY)
            os.utime(path, times, follow_symlinks=False)


@dataclass(frozen=True)
class Fault:
    """What goes wrong at one effect: the *number*-th of a *name*.

    :param is_full: instead of a kill: from here on, the disk takes nothing more.
    """

    name: str
    number: int = 0
    is_full: bool = False

    def __str__(self) -> str:
        return f"{'a full disk from' if self.is_full else 'a kill at'} {self.name!r}, number {self.number}"


def steps(project: Project) -> list[PythonScriptStep]:
    """Return the pipeline: one step makes a file and a folder, another reads the file."""
    out, parts, copied = PipelineData("out"), PipelineData("parts", is_directory=True), PipelineData("copied")
    made = project.step("made", MAKES, [out, parts])
    return [made, project.step("copy", COPIES, [out, copied], inputs=[out])]


@dataclass(frozen=True)
class Ended:
    """How a process ended that was not killed.

    :param effects: the name of each, in their order.
    :param bugs: errors that are none of ours, so that nobody would know what to do.
    """

    status: str
    effects: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    bugs: tuple[str, ...] = ()


def live(home: Home, fault: Fault | None = None, is_forced: bool = False) -> Ended:
    """Run the pipeline; at the fault, suffer it."""
    effects = _watch(home, fault)
    project = home.project()
    try:
        ran = project.run(*steps(project), force=is_forced)
    except RefrainError as error:
        return Ended("Failed", tuple(effects), (str(error),))
    errors = list(ran.outcome.errors.values())
    bugs = [repr(error) for error in errors if not isinstance(error, RefrainError)]
    return Ended(ran.status, tuple(effects), tuple(map(str, errors)), tuple(bugs))


def clean(home: Home, fault: Fault | None = None) -> Ended:
    """Clean, keeping the latest run; at the fault, suffer it."""
    effects = _watch(home, fault)
    Cleaning(WorkspaceState(home.root), Retention(runs=1)).clean()
    return Ended("Cleaned", tuple(effects))


def lose(home: Home) -> None:
    """Delete an output that a record speaks of."""
    (out,) = home.folder.glob("*/datastores/workspaceblobstore/azureml/*.made.1/out")
    out.unlink()


def examine(home: Home, is_fresh: bool = True) -> dict[str, Any]:
    """Look at what a process left, run the pipeline again twice, and return what is wrong, and what was found.

    :param is_fresh: whether every record's outputs must be there, because nobody has deleted any.
    """
    project = home.project()
    wrong = list(_unsound_records(project.state)) if is_fresh else []
    alive = {record.step for record in RecordStore(project.state.objects).all() if record.dead is None}
    _let_unsigned_stages_be_old(project)
    first = project.run(*steps(project))
    wrong += _wrong_in(first, project.state)
    reused = set(first.reused())
    if is_fresh and alive - reused:
        wrong.append(f"a commit was lost: {sorted(alive - reused)} had records and ran again")
    orphans = _outputs_without_a_run(project.state)
    wrong += [f"not swept: {name}" for name in [*project.leftovers(), *orphans] if ".tmp-" not in name]
    home.age(8)
    Cleaning(project.state, Retention()).clean()
    wrong += [f"not cleaned: {name}" for name in project.leftovers()]
    second = project.run(*steps(project))
    wrong += _wrong_in(second, project.state)
    if set(second.reused()) != GOLDEN.keys():
        wrong.append(f"not reused: {sorted(GOLDEN.keys() - set(second.reused()))}")
    return {"wrong": wrong, "alive": sorted(alive), "reused": sorted(reused)}


def examine_cleaned(home: Home) -> list[str]:
    """Look at what a cleaning left that was killed, clean to the end, and return what is wrong."""
    state = WorkspaceState(home.root)
    wrong = list(_unsound_records(state))
    for _ in range(3):
        Cleaning(state, Retention(runs=1)).clean()
        home.age(8)
    wrong += list(_unsound_records(state))
    project = home.project()
    ran = project.run(*steps(project))
    wrong += _wrong_in(ran, state)
    if set(ran.reused()) != GOLDEN.keys():
        wrong.append(f"the latest results are gone: {ran.heard.decisions}")
    known = len(state.objects.names("runs"))
    if known != 2:
        wrong.append(f"{known - 2} runs are still there")
    return wrong + [f"not cleaned: {name}" for name in [*project.leftovers(), *_outputs_without_a_run(state)]]


def files(state: WorkspaceState, handle: DataHandle) -> dict[str, bytes]:
    """Return the bytes of everything behind a handle."""
    place = state.stores.at(handle.uri)
    found = {}
    for name in place.store.sizes(place.path):
        with place.store.open(f"{place.path}/{name}" if name else place.path) as file:
            found[name] = file.read()
    return found


def restore(home: Home, template: Path) -> None:
    """Put a home back into the state of which *template* is a copy."""
    shutil.rmtree(home.folder, ignore_errors=True)
    shutil.copytree(template, home.folder, symlinks=True)


def _watch(home: Home, fault: Fault | None) -> list[str]:
    effects: list[str] = []
    broken: list[str] = []

    def told(name: str, number: int) -> None:
        effects.append(name)
        if fault is not None and (name, number) == (fault.name, fault.number):
            if not fault.is_full:
                os.kill(os.getpid(), signal.SIGKILL)
            broken.append(name)
        if broken and name.startswith(_NEEDS_ROOM):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    Effects(str(home.folder), told).watch()
    return effects


def _let_unsigned_stages_be_old(project: Project) -> None:
    """A stage that nobody signed is left alone for a minute, because its maker may be about to."""
    for folder in (project.state.root / "staging").glob("*"):
        if not (folder / "owner.json").exists():
            os.utime(folder, (time.time() - 100, time.time() - 100))


def _unsound_records(state: WorkspaceState) -> Iterator[str]:
    records = list(RecordStore(state.objects).all())
    stored = [found for found in state.objects.walk("reuse") if found.key.endswith(".json")]
    if len(records) != len(stored):
        yield f"{len(stored) - len(records)} records are damaged"
    for record in records:
        if record.dead is None:
            yield from _differences(record.step, record.outputs, state)
            if RunStore(state).get(record.run_id).status is not RunStatus.COMPLETED:
                yield f"the record of {record.step} is of a run that did not complete"


def _differences(step: str, outputs: Any, state: WorkspaceState) -> Iterator[str]:
    for name, handle in outputs.items():
        try:
            found = files(state, handle)
        except (OSError, RefrainError) as error:
            found = {"": repr(error).encode()}
        if found != GOLDEN[step][name]:
            yield f"{name} of {step} is {found}"


def differences_in(ran: Ran, state: WorkspaceState) -> Iterator[str]:
    """Yield where a run's results are not those of a run that nobody disturbs."""
    for key, result in ran.outcome.results.items():
        yield from _differences(key, result.outputs, state)


def _wrong_in(ran: Ran, state: WorkspaceState) -> Iterator[str]:
    if ran.status != "Completed":
        yield f"the run after it: {ran.status}, {list(ran.outcome.errors.values())}"
    yield from differences_in(ran, state)
    for key, result in ran.outcome.results.items():
        made_by: RunRecord = ran.runs.get(result.reused_from or result.run_id)
        if made_by.status is not RunStatus.COMPLETED:
            yield f"{key} took the result of a run that is {made_by.status.value}"


def _outputs_without_a_run(state: WorkspaceState) -> list[str]:
    runs = RunStore(state)
    made = [r.run_id for root in state.objects.names("runs") for r in runs.steps(root) if r.outputs]
    return sorted(set(state.objects.names("datastores/workspaceblobstore/azureml")) - set(made))
