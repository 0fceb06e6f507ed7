"""Objects: small immutable values under keys, written whole or not at all."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from refrain.errors import WorkspaceError

_TEMPORARY = ".tmp-"
_BLOCK = 64 * 1024


class ObjectStore(Protocol):
    """What the workspace needs of a store; keys are relative paths with ``/``."""

    def get(self, key: str) -> bytes | None:
        """Return the object's bytes, or None when there is no such object."""

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Write an object whole, replacing an earlier one; with *durable* it survives a loss of power."""

    def create(self, key: str, data: bytes, *, private: bool = False) -> bool:
        """Write an object unless one is there; of several writers at once exactly one is told True.

        :param private: from the first moment on, nobody but the owner may read it.
        """

    def exists(self, key: str) -> bool:
        """Say whether an object is there."""

    def names(self, prefix: str) -> list[str]:
        """Return the names directly below the folder *prefix*, sorted; empty when there is no such folder."""

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""


class NoObjects:
    """Where nothing is kept: an :class:`ObjectStore` for what works without a workspace."""

    def get(self, key: str) -> None:
        """Find nothing."""

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:  # noqa: ARG002  # it is refused
        """Refuse; see :meth:`ObjectStore.put`."""
        raise WorkspaceError(f"{key!r} cannot be kept: no workspace is at hand. Open one with Workspace(root).")

    def create(self, key: str, data: bytes, *, private: bool = False) -> bool:  # noqa: ARG002  # it is refused
        """Refuse; see :meth:`ObjectStore.create`."""
        raise WorkspaceError(f"{key!r} cannot be kept: no workspace is at hand. Open one with Workspace(root).")

    def exists(self, key: str) -> bool:  # noqa: ARG002  # nothing is there
        """Find nothing."""
        return False

    def names(self, prefix: str) -> list[str]:  # noqa: ARG002  # nothing is there
        """Find nothing."""
        return []

    def delete(self, key: str) -> None:
        """Do nothing: there is nothing."""


class LocalObjectStore:
    """Objects as files below a folder. A reader sees the old object or the new one, never a part of either."""

    def __init__(self, root: Path) -> None:
        """Name the folder; it is made when the first object is written."""
        self.root = root
        self._folder = os.fspath(root)  # a text: joining Paths costs as much as reading a small file
        # Random, because writers on other hosts and in other containers may share the folder and the process ids.
        self._writer = secrets.token_hex(8)
        self._numbers = itertools.count()

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

    def create(self, key: str, data: bytes, *, private: bool = False) -> bool:
        """See :meth:`ObjectStore.create`."""
        with self._written(key, data, True, 0o600 if private else 0o666) as (temporary, path):
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            finally:
                os.unlink(temporary)
            _sync_folder(os.path.dirname(path))
        return True

    def exists(self, key: str) -> bool:
        """See :meth:`ObjectStore.exists`."""
        return os.path.exists(self._file(key))

    def names(self, prefix: str) -> list[str]:
        """See :meth:`ObjectStore.names`."""
        folder = self._file(prefix)
        try:
            return sorted(name for name in os.listdir(folder) if not name.startswith(_TEMPORARY))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise WorkspaceError(f"Cannot list {folder!r}: {error.strerror}.") from error

    def delete(self, key: str) -> None:
        """See :meth:`ObjectStore.delete`."""
        try:
            os.unlink(self._file(key))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise WorkspaceError(f"Cannot delete {self._file(key)!r}: {error.strerror}.") from error

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
                raise WorkspaceError(f"Cannot write {path!r}: {error.strerror}.") from error
            raise


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = list(iter(lambda: os.read(descriptor, _BLOCK), b""))
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
