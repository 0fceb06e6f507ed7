"""RemoteObjectStore: objects on any fsspec file system, created by conditional writes where the store has them."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from refrain.errors import DataError, DataNotFoundError, WorkspaceError
from refrain.storage.filesystem import FileSystem
from refrain.storage.objects import FRESH_SECONDS, Stored
from refrain.storage.retry import in_parallel

T = TypeVar("T")

_CLAIM = ".claim"
_PROBES = "probes"
_TIMES = ("LastModified", "last_modified", "mtime", "modified", "created", "updated")


class RemoteObjectStore:
    """Objects below a URL. One request writes an object, so that a reader sees the old one or the new one.

    Known limitation: on file systems that write in place (sftp, smb) a reader may see a part. What it reads then fails
    its checksum and counts as missing.
    """

    def __init__(self, files: FileSystem, url: str) -> None:
        """Keep everything below *url*; nothing is opened yet."""
        self._files = files
        self._url = url

    @cached_property
    def is_conditional(self) -> bool:
        """See :attr:`ObjectStore.is_conditional`; found out by trying it, with an object that is deleted again."""
        key = f"{_PROBES}/{secrets.token_hex(16)}"
        self.put(key, b"first")
        try:
            return not self._create(key, b"second")
        finally:
            self.delete(key)

    def get(self, key: str) -> bytes | None:
        """See :meth:`ObjectStore.get`."""
        try:
            return bytes(self._call("read", key, lambda fs: fs.cat_file(self._at(key))))
        except DataNotFoundError:
            return None

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:  # noqa: ARG002  # what a store has, it keeps
        """See :meth:`ObjectStore.put`."""
        self._written(key, lambda fs: fs.pipe_file(self._at(key), data))

    def create(
        self,
        key: str,
        data: bytes,
        *,
        durable: bool = True,  # noqa: ARG002  # what a store has, it keeps
        private: bool = False,  # noqa: ARG002  # who may read the store may read it
        may_repeat: bool = False,
    ) -> bool:
        """See :meth:`ObjectStore.create`."""
        if self.is_conditional:
            return self._create(key, data)
        if not may_repeat:
            raise WorkspaceError(
                f"Cannot write {self._at(key)} so that no other writer's is lost: the store has no conditional writes "
                "(S3's If-None-Match). Steps run and are reused there, but nothing can be registered or tagged; use a "
                "store that has them, or a newer version of it."
            )
        if self.exists(key):
            return False
        self.put(key, data)
        return True

    def claim(self, folder: str) -> bool:
        """See :meth:`ObjectStore.claim`; a hidden object stands for the folder, which object stores do not have."""
        return self.create(f"{folder}/{_CLAIM}", secrets.token_hex(16).encode(), may_repeat=True)

    def exists(self, key: str) -> bool:
        """See :meth:`ObjectStore.exists`."""
        return self._info(key) is not None

    def is_fresh(self, key: str) -> bool:
        """See :meth:`ObjectStore.is_fresh`."""
        info = self._info(key)
        return info is not None and time.time() - _changed(info) < FRESH_SECONDS

    def names(self, prefix: str) -> list[str]:
        """See :meth:`ObjectStore.names`."""
        url = self._at(prefix)

        def listed(fs: Any) -> list[str]:
            fs.invalidate_cache()
            return [str(path) for path in fs.ls(url, detail=False)]

        try:
            paths = self._call("list", prefix, listed)
        except DataNotFoundError:
            return []
        base = self._files.stripped(url).rstrip("/") + "/"
        names = {path.rstrip("/").removeprefix(base) for path in paths if path.startswith(base)}
        return sorted(name for name in names if name and not name.startswith("."))

    def walk(self, prefix: str) -> Iterator[Stored]:
        """See :meth:`ObjectStore.walk`."""
        url = self._at(prefix)

        def found(fs: Any) -> Mapping[str, Mapping[str, Any]]:
            fs.invalidate_cache()
            answer = fs.find(url, detail=True)
            return answer if isinstance(answer, Mapping) else {}  # adlfs answers with a list when there is just a file

        try:
            infos = self._call("list", prefix, found)
        except DataNotFoundError:
            return
        base = self._files.stripped(self._url).rstrip("/") + "/"
        for path, info in sorted(infos.items()):
            if info.get("type", "file") == "file" and path.startswith(base):
                yield Stored(path.removeprefix(base), int(info.get("size") or 0), _changed(info))

    def delete(self, key: str) -> None:
        """See :meth:`ObjectStore.delete`."""
        try:
            self._call("delete", key, lambda fs: fs.rm_file(self._at(key)))
        except DataNotFoundError:
            return

    def drop(self, folder: str, last: str = "") -> None:
        """See :meth:`ObjectStore.drop`."""
        final = f"{folder}/{last}"
        keys = [stored.key for stored in self.walk(folder)]
        in_parallel(self.delete, (key for key in keys if key != final))
        if final in keys:
            self.delete(final)

    def location(self, key: str) -> str:
        """See :meth:`ObjectStore.location`."""
        return self._at(key)

    def _create(self, key: str, data: bytes) -> bool:
        url, tries = self._at(key), itertools.count()

        def create(fs: Any) -> bool:
            number = next(tries)
            try:
                fs.pipe_file(url, data, mode="create")
            except FileExistsError:
                # A try whose answer was lost may have been the one that wrote it.
                return number > 0 and bytes(fs.cat_file(url)) == data
            return True

        return self._written(key, create)

    def _written(self, key: str, write: Callable[[Any], T]) -> T:
        try:
            return self._call("write", key, write)
        except DataNotFoundError as error:
            raise WorkspaceError(f"{error} Make the bucket or container first.") from None

    def _info(self, key: str) -> Mapping[str, Any] | None:
        def info(fs: Any) -> Mapping[str, Any]:
            fs.invalidate_cache()
            found: Mapping[str, Any] = fs.info(self._at(key))
            return found

        try:
            found = self._call("read", key, info)
        except DataNotFoundError:
            return None
        return found if found.get("type", "file") == "file" else None

    def _call(self, verb: str, key: str, act: Callable[[Any], T]) -> T:
        try:
            return self._files.call(f"{verb} {self._at(key)}", act)
        except DataNotFoundError:
            raise
        except DataError as error:
            raise WorkspaceError(str(error)) from None  # not chained: it has been cleared of credentials

    def _at(self, key: str) -> str:
        return f"{self._url}/{key}" if key else self._url


def _changed(info: Mapping[str, Any]) -> float:
    """Return when an object was written, in seconds since the epoch; now, where the store does not say."""
    for name in _TIMES:
        found = info.get(name)
        if isinstance(found, datetime):
            return found.timestamp()
        if isinstance(found, int | float) and not isinstance(found, bool):
            return float(found)
    return time.time()
