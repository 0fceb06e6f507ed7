"""RunFiles: what a run leaves beside its record: logs, events, artifacts.

Where the workspace is a folder they are written there. Else they are written to this machine's folder while the run
goes on, brought to the workspace every few seconds, and removed here once everything is there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from refrain.errors import DataError, DataNotFoundError
from refrain.storage.repetition import repeated
from refrain.storage.state import WorkspaceState
from refrain.storage.unfinished import HALF
from refrain.tracking.run_id import run_folder

FETCHED = "fetched"
"""This machine's folder for copies of files that runs of other machines left."""
EVENTS = "events.jsonl"
"""What the script of a run has said, and how far its step is: one line for each event."""
_RECORD = "run.json"
_GROWING = ("logs/", EVENTS)


class RunFiles:
    """The files of one run, by names relative to its folder, such as ``logs/std_log.txt``."""

    def __init__(self, state: WorkspaceState, run_id: str) -> None:
        """Look for the files of *run_id*; raises as :func:`run_folder`."""
        self._state = state
        self._key = run_folder(run_id)
        self._brought: dict[str, tuple[int, int]] = {}
        self.folder = state.root / self._key
        """The folder of this machine in which the run writes."""

    def names(self, part: str) -> list[str]:
        """Return the names of the files below a folder of the run, relative to it, sorted."""
        stored = set(self._state.place.below(f"{self._key}/{part}").files())
        return sorted(stored | set(_files(self.folder / part)))

    def path(self, name: str) -> Path | None:
        """Return where a file that only ever grows can be read on this machine; None when there is no such file."""
        live = self.folder / name
        if self._state.is_local or live.exists():
            return live if live.exists() else None
        place = self._state.place.below(f"{self._key}/{name}")
        target = self._state.root / FETCHED / self._key / name
        try:
            if not target.exists() or target.stat().st_size != place.identify().bytes:
                place.store.get([(place.path, target)])
        except DataNotFoundError:
            return None
        return target

    def location(self, name: str) -> str | None:
        """Return where a file is kept, as text; None when there is no such file."""
        key = f"{self._key}/{name}"
        if self._state.objects.exists(key):
            return self._state.objects.location(key)
        live = self.folder / name
        return str(live) if live.exists() else None

    def will_be(self, name: str) -> str:
        """Return where a file will be kept once the run is over, as text."""
        return self._state.objects.location(f"{self._key}/{name}")

    def copy(self, name: str, target: Path) -> None:
        """Copy a file as it is now.

        :raises DataError: when there is none, or it cannot be copied.
        """
        live = self.folder / name
        if self._state.is_local or live.exists():
            shutil.copyfile(live, target)
            return
        place = self._state.place.below(f"{self._key}/{name}")
        place.store.get([(place.path, target)])

    def bring(self, *, is_over: bool = True) -> None:
        """Copy what is new or has grown to the workspace.

        :param is_over: nothing is written to any of the files any more; else only those are brought that grow.
        :raises DataError: when the workspace cannot be written.
        """
        if self._state.is_local:
            return
        found = {name: _mark(self.folder / name) for name in _files(self.folder) if name != _RECORD}
        fresh = {name: mark for name, mark in found.items() if self._brought.get(name) != mark}
        if is_over:
            self._send(self.folder, fresh)
            return
        import tempfile

        with tempfile.TemporaryDirectory(dir=self._state.root, prefix=HALF) as copies:  # what is sent must not grow
            growing = {name: mark for name, mark in fresh.items() if name.startswith(_GROWING)}
            for name in growing:
                copy = Path(copies, name)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.folder / name, copy)
            self._send(Path(copies), growing)

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Bring the files every few seconds while the block runs, and all of them at its end.

        Never fails: a run must not be lost for want of its logs. What could not be brought stays here.
        """
        if self._state.is_local:
            yield
            return
        try:
            with repeated(partial(self.bring, is_over=False)):
                yield
        finally:
            with contextlib.suppress(DataError, OSError):
                self.bring()

    def leave(self) -> bool:
        """Remove the files from this machine, and say whether they were all in the workspace; else they stay."""
        if self._state.is_local:
            return True
        if any(self._brought.get(name) != _mark(self.folder / name) for name in _files(self.folder)):
            return False
        shutil.rmtree(self.folder, ignore_errors=True)
        return True

    def _send(self, folder: Path, marks: dict[str, tuple[int, int]]) -> None:
        place = self._state.place.below(self._key)
        place.store.put([(folder / name, place.below(name).path) for name in marks])
        self._brought.update(marks)


def _files(folder: Path) -> list[str]:
    return [os.path.relpath(os.path.join(p, n), folder) for p, _, names in os.walk(folder) for n in names]


def _mark(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
