"""UnfinishedWork: what a try that did not end well leaves to the next one of the same work.

::

    <machine>/unfinished/<ab>/<key>/    whatever the process of the step keeps there
    <root>/unfinished/<ab>/<key>/       where the workspace is not a folder: a copy, for a try on another machine
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from refrain.errors import DataError, WorkspaceError, why
from refrain.storage.listing import require_inside
from refrain.storage.repetition import repeated
from refrain.storage.store import Place

UNFINISHED = "unfinished"
HALF = ".half-"
"""How folders begin that whoever makes them takes away; cleaning does it for those who were killed."""


class UnfinishedWork:
    """The folder of one piece of work, which goes when its result is committed.

    Files at its top say what is done, and only grow; those in folders below are what they speak of. The former are
    copied first and appear in the workspace last, so that they never speak of what is not there.

    :param path: the folder on this machine.
    :param place: where its copy is; None where this machine's folder is the workspace's own.
    """

    def __init__(self, path: Path, place: Place | None = None) -> None:
        self.path = path
        """The folder on this machine, whether it is there or not."""
        self._place = place
        self._brought: dict[str, tuple[int, int]] = {}

    @property
    def folder(self) -> Path:
        """The folder, which is made if it is not there, with what tries on other machines have left.

        :raises WorkspaceError: when it cannot be made.
        :raises DataError: when the workspace cannot be reached.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(f"Cannot make the folder {str(self.path)!r}: {why(error)}") from error
        if self._place is not None:
            self._fetch(self._place)
        return self.path

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Bring what is new to the workspace every few seconds, and once more when the block fails."""
        if self._place is None:
            yield
            return
        try:
            with repeated(self.bring):
                yield
        except BaseException:
            with contextlib.suppress(
                DataError, OSError
            ):  # then the next try on another machine has a little more to do
                self.bring()
            raise

    def bring(self) -> None:
        """Copy what is new to the workspace.

        :raises DataError: when it cannot be written.
        """
        place = self._place
        if place is None or not self.path.is_dir():
            return
        import tempfile

        with tempfile.TemporaryDirectory(dir=self.path.parent, prefix=HALF) as copies:
            tops = {name: mark for name, mark in self._changed() if os.sep not in name}
            for name in tops:
                shutil.copyfile(self.path / name, Path(copies, name))
            below = {name: mark for name, mark in self._changed() if os.sep in name}
            place.store.put([(self.path / name, place.below(name).path) for name in below])
            place.store.put([(Path(copies, name), place.below(name).path) for name in tops])
        self._brought.update({**below, **tops})

    def remove(self) -> None:
        """Remove what is kept; nothing is left to do. Whoever does the same work here right now keeps the folder."""
        with self._held() as is_ours:
            if not is_ours:
                return
            shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()
        if self._place is not None:
            with contextlib.suppress(DataError):  # cleaning finds it
                self._place.store.remove(self._place.path)

    def _fetch(self, place: Place) -> None:
        """Take over what another machine has left, if that is more than what is here."""
        sizes = place.sizes()
        tops = {name: size for name, size in sizes.items() if "/" not in name}
        if not any(size > _size(self.path / name) for name, size in tops.items()):
            return
        coming = self.path.with_name(f"{HALF}{self.path.name}")  # the half of it must not be taken for all
        shutil.rmtree(coming, ignore_errors=True)
        for name in sizes:
            require_inside(name, place.below(name).uri)
            (coming / name).parent.mkdir(parents=True, exist_ok=True)
        place.store.get([(place.below(name).path, coming / name) for name in sizes])
        with self._held() as is_ours:
            if is_ours:
                shutil.rmtree(self.path)
                os.replace(coming, self.path)
        shutil.rmtree(coming, ignore_errors=True)

    @contextlib.contextmanager
    def _held(self) -> Iterator[bool]:
        """Keep other processes of this machine from the files that say what is done; False if one has them already."""
        with contextlib.ExitStack() as stack:
            yield all(_lock(path, stack) for path in self.path.glob("*") if path.is_file())

    def _changed(self) -> Iterator[tuple[str, tuple[int, int]]]:
        for parent, _, names in os.walk(self.path):
            for name in names:
                path = Path(parent, name)
                relative = os.path.relpath(path, self.path)
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    mark = (status.st_size, status.st_mtime_ns)
                    if self._brought.get(relative) != mark:
                        yield relative, mark


def unfinished(root: Path) -> Iterator[tuple[Path, float]]:
    """Yield the folders of all unfinished work of this machine, and when something was last written to each."""
    for folder in sorted((root / UNFINISHED).glob("??/[0-9a-f]*")):
        with contextlib.suppress(OSError):  # its work has just been finished
            yield folder, max(path.stat().st_mtime for path in (folder, *folder.iterdir()))


def _lock(path: Path, stack: contextlib.ExitStack) -> bool:
    """Lock a file until the stack is closed; False if a process has locked it."""
    try:
        fcntl.flock(stack.enter_context(path.open("r+b")), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # file systems differ in what they say
        return False
    except OSError:  # it has just gone, or cannot be locked, and then nobody uses it
        return True
    return True


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return -1
