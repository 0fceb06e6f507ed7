"""MountContext: the files of a dataset as a folder of this machine, for as long as they are needed."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from refrain.data.files.item import FileItem, StoredFile, place_below
from refrain.errors import DataError, UserError
from refrain.storage.state import stores_without_workspace
from refrain.storage.store import Place, Store


class Mountable(Protocol):
    """What is asked of a dataset that is mounted."""

    def distinct_files(self) -> list[FileItem]:
        """Return the files, which all have different names."""

    def remote_place(self) -> Place | None:
        """Return the one place of another machine whose files are all of the dataset; None when there is none."""


class MountContext:
    """A folder that shows the files of a dataset from :meth:`start` to :meth:`stop`, or within a ``with`` block.

    Local files are shown by links; files that are elsewhere are fetched through this machine's cache. What is changed
    there may change the data itself: treat it as something to read.

    Known limitation: a process that is killed leaves its links in the cache's folder ``mounts``.

    :param mount_point: a folder that is not there, or is empty; None for one in the machine's cache.
    :raises UserError: when something is at the mount point.
    """

    def __init__(self, dataset: Mountable, mount_point: str | None = None) -> None:
        self._dataset = dataset
        # Where hard links to what is cached can be.
        self._view = stores_without_workspace().cache.mounts(f"dataset-{uuid.uuid4().hex}")
        self._point = self._view if mount_point is None else Path(mount_point).absolute()
        self._is_started = False
        if not _is_free(self._point):
            raise UserError(f"mount: {mount_point!r} is no empty folder. Empty it, or name another.")

    @property
    def mount_point(self) -> str:
        """The folder; between :meth:`start` and :meth:`stop` the files are there."""
        return str(self._point)

    def start(self) -> None:
        """Show the files; nothing happens when they are shown already.

        :raises DataError: when they cannot be listed, fetched or linked.
        """
        if self._is_started:
            return
        try:
            self._fill()
            if self._point != self._view:
                _link(self._point, self._view)
        except BaseException:
            shutil.rmtree(self._view, ignore_errors=True)
            raise
        self._is_started = True

    def stop(self) -> None:
        """Take the folder away; the data stays."""
        if self._is_started:
            self._is_started = False
            if self._point != self._view:
                self._point.unlink(missing_ok=True)
            shutil.rmtree(self._view, ignore_errors=True)

    def __enter__(self) -> MountContext:  # noqa: PYI034  # Self is newer than our oldest Python
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _fill(self) -> None:
        whole = self._dataset.remote_place()
        if whole is not None:
            whole.store.mount(whole.path, self._view)
        else:
            self._view.mkdir(parents=True)
            show(self._dataset.distinct_files(), self._view)


def show(items: Sequence[FileItem], folder: Path) -> None:
    """Put the files of a dataset below a folder: by links where they are stored, written where they are made.

    :raises DataError: when one cannot be.
    """
    waiting: dict[Store, list[tuple[str, Path]]] = {}
    for item in items:
        path = place_below(folder, item)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(item, StoredFile):
            waiting.setdefault(item.file.at.store, []).append((item.file.path, path))
        else:
            item.save(path)
    for store, pairs in waiting.items():
        store.link(pairs)


def _is_free(path: Path) -> bool:
    return not os.path.lexists(path) or (path.is_dir() and not path.is_symlink() and not any(path.iterdir()))


def _link(point: Path, view: Path) -> None:
    try:
        point.parent.mkdir(parents=True, exist_ok=True)
        if point.is_dir():
            point.rmdir()
        point.symlink_to(view)
    except OSError as error:
        raise DataError(f"Nothing can be mounted at {str(point)!r}: {error.strerror}.") from error
