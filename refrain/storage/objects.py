"""Objects: small immutable values under keys, written whole or not at all."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from refrain.errors import WorkspaceError, why

FRESH_SECONDS = 3600
"""How long a written object counts as just written; cleaning spares what is younger than many times that."""

_TEMPORARY = ".tmp-"
_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """An object in a listing: its size in bytes, and when it was written by the store's own clock, since the epoch."""

    key: str
    bytes: int
    changed: float


def is_temporary(key: str) -> bool:
    """Say whether a key in a listing is that of an object which its writer had not finished."""
    return key.rpartition("/")[2].startswith(_TEMPORARY)


class ObjectStore(Protocol):
    """What the workspace needs of a store; keys are relative paths with ``/``.

    Everything raises :class:`refrain.errors.WorkspaceError` when the store fails.
    """

    @property
    def is_conditional(self) -> bool:
        """Say whether the store can create an object only if it is not there, as one act."""

    def get(self, key: str) -> bytes | None:
        """Return the object's bytes, or None when there is no such object."""

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Write an object whole, replacing an earlier one; with *durable* it survives a loss of power."""

    def create(
        self, key: str, data: bytes, *, durable: bool = True, private: bool = False, may_repeat: bool = False
    ) -> bool:
        """Write an object unless one is there; of several writers at once exactly one is told True.

        :param durable: see :meth:`put`.
        :param private: from the first moment on, nobody but the owner may read it, where files have owners.
        :param may_repeat: that several are told True does no harm, so that it may be done without conditional writes.
        :raises WorkspaceError: when it may not, and the store has none.
        """

    def claim(self, folder: str) -> bool:
        """Take a folder's name unless somebody has; of several at once exactly one is told True.

        Without conditional writes two may be told True, if they ask at the same moment.
        """

    def exists(self, key: str) -> bool:
        """Say whether an object is there."""

    def is_fresh(self, key: str) -> bool:
        """Say whether an object is there and was written within the last :data:`FRESH_SECONDS`."""

    def names(self, prefix: str) -> list[str]:
        """Return the names directly below the folder *prefix*, sorted; empty when there is no such folder."""

    def walk(self, prefix: str) -> Iterator[Stored]:
        """Yield every object below the folder *prefix*, however deep."""

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""

    def drop(self, folder: str, last: str = "") -> None:
        """Remove everything below a folder; *last*, the name of an object directly in it, when all else is gone."""

    def location(self, key: str) -> str:
        """Return where an object is, for messages."""


class NoObjects:
    """Where nothing is kept: an :class:`ObjectStore` for what works without a workspace."""

    @property
    def is_conditional(self) -> bool:
        """See :attr:`ObjectStore.is_conditional`."""
        return False

    def get(self, key: str) -> None:
        """Find nothing."""

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:  # noqa: ARG002  # it is refused
        """Refuse; see :meth:`ObjectStore.put`."""
        self._refuse(key)

    def create(
        self,
        key: str,
        data: bytes,  # noqa: ARG002  # it is refused
        *,
        durable: bool = True,  # noqa: ARG002
        private: bool = False,  # noqa: ARG002
        may_repeat: bool = False,  # noqa: ARG002
    ) -> bool:
        """Refuse; see :meth:`ObjectStore.create`."""
        self._refuse(key)

    def claim(self, folder: str) -> bool:
        """Refuse; see :meth:`ObjectStore.claim`."""
        self._refuse(folder)

    def exists(self, key: str) -> bool:  # noqa: ARG002  # nothing is there
        """Find nothing."""
        return False

    is_fresh = exists

    def names(self, prefix: str) -> list[str]:  # noqa: ARG002  # nothing is there
        """Find nothing."""
        return []

    def walk(self, prefix: str) -> Iterator[Stored]:  # noqa: ARG002  # nothing is there
        """Find nothing."""
        return iter(())

    def delete(self, key: str) -> None:
        """Do nothing: there is nothing."""

    def drop(self, folder: str, last: str = "") -> None:
        """Do nothing: there is nothing."""

    def location(self, key: str) -> str:
        """See :meth:`ObjectStore.location`."""
        return key

    def _refuse(self, key: str) -> NoReturn:
        raise WorkspaceError(f"{key!r} cannot be kept: no workspace is at hand. Open one with Workspace(root).")


class LocalObjectStore:
    """Objects as files below a folder. A reader sees the old object or the new one, never a part of either."""

    def __init__(self, root: Path) -> None:
        """Name the folder; it is made when the first object is written."""
        self.root = root
        self._folder = os.fspath(root)  # a text: joining Paths costs as much as reading a small file
        # Random, because writers on other hosts and in other containers may share the folder and the process ids.
        self._writer = os.urandom(8).hex()
        self._numbers = itertools.count()

    @property
    def is_conditional(self) -> bool:
        """See :attr:`ObjectStore.is_conditional`; a link is made or refused."""
        return True

    def get(self, key: str) -> bytes | None:
        """See :meth:`ObjectStore.get`."""
        path = self._file(key)
        try:
            return _read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise WorkspaceError(f"Cannot read {path!r}: {error.strerror}.") from error

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """See :meth:`ObjectStore.put`."""
        with self._written(key, data, durable) as (temporary, path):
            os.replace(temporary, path)
            if durable:
                _sync_folder(os.path.dirname(path))

    def create(
        self,
        key: str,
        data: bytes,
        *,
        durable: bool = True,
        private: bool = False,
        may_repeat: bool = False,  # noqa: ARG002  # it never does
    ) -> bool:
        """See :meth:`ObjectStore.create`."""
        with self._written(key, data, durable, 0o600 if private else 0o666) as (temporary, path):
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            finally:
                os.unlink(temporary)
            if durable:
                _sync_folder(os.path.dirname(path))
        return True

    def claim(self, folder: str) -> bool:
        """See :meth:`ObjectStore.claim`."""
        path = self._file(folder)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.mkdir(path)
                return True
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.mkdir(path)
        except FileExistsError:
            return False
        except OSError as error:
            raise WorkspaceError(f"Cannot make the folder {path!r}: {why(error)}") from error
        return True

    def exists(self, key: str) -> bool:
        """See :meth:`ObjectStore.exists`."""
        return os.path.exists(self._file(key))

    def is_fresh(self, key: str) -> bool:
        """See :meth:`ObjectStore.is_fresh`."""
        try:
            return time.time() - os.stat(self._file(key)).st_mtime < FRESH_SECONDS
        except OSError:
            return False

    def names(self, prefix: str) -> list[str]:
        """See :meth:`ObjectStore.names`."""
        folder = self._file(prefix)
        try:
            return sorted(name for name in os.listdir(folder) if not name.startswith(_TEMPORARY))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise WorkspaceError(f"Cannot list {folder!r}: {error.strerror}.") from error

    def walk(self, prefix: str) -> Iterator[Stored]:
        """See :meth:`ObjectStore.walk`."""
        start = len(self._folder) + 1
        try:
            for parent, folders, names in os.walk(self._file(prefix), onerror=_raise_unless_gone):
                folders.sort()
                for name in sorted(names):
                    path = os.path.join(parent, name)
                    with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                        status = os.lstat(path)
                        yield Stored(path[start:], status.st_size, status.st_mtime)
        except OSError as error:
            raise WorkspaceError(f"Cannot list {error.filename or self._file(prefix)!r}: {error.strerror}.") from error

    def delete(self, key: str) -> None:
        """See :meth:`ObjectStore.delete`."""
        try:
            os.unlink(self._file(key))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise WorkspaceError(f"Cannot delete {self._file(key)!r}: {error.strerror}.") from error

    def drop(self, folder: str, last: str = "") -> None:
        """See :meth:`ObjectStore.drop`."""
        final = f"{folder}/{last}"
        for stored in list(self.walk(folder)):
            if stored.key != final:
                self.delete(stored.key)
        if last:
            self.delete(final)
        shutil.rmtree(self._file(folder), ignore_errors=True)

    def location(self, key: str) -> str:
        """See :meth:`ObjectStore.location`."""
        return self._file(key)

    def path(self, key: str) -> Path:
        """Return the file behind a key."""
        return self.root / key

    def _file(self, key: str) -> str:
        return f"{self._folder}/{key}"

    @contextlib.contextmanager
    def _written(self, key: str, data: bytes, durable: bool, mode: int = 0o666) -> Iterator[tuple[str, str]]:
        path = self._file(key)
        # The process, because a forked one goes on with the same numbers.
        name = f"{_TEMPORARY}{self._writer}-{os.getpid()}-{next(self._numbers)}"
        temporary = f"{os.path.dirname(path)}/{name}"
        try:
            _write(temporary, data, durable, mode)
            yield temporary, path
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            if isinstance(error, OSError):
                raise WorkspaceError(f"Cannot write {path!r}: {why(error)}") from error
            raise


def _raise_unless_gone(error: OSError) -> None:
    """Let a folder count as empty only when it is none any more: what cannot be seen now may be in use."""
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = [os.read(descriptor, _BLOCK)]
        while len(parts[-1]) == _BLOCK:
            parts.append(os.read(descriptor, _BLOCK))
    finally:
        os.close(descriptor)
    return b"".join(parts)


def _write(path: str, data: bytes, durable: bool, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, mode)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = os.open(path, flags, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
