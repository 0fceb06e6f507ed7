"""RememberingObjects: an object store that does not ask again for what it was told a moment ago.

The registry of a remote workspace is asked many times in a step's life, and hardly ever changes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from refrain.storage.objects import ObjectStore, Stored

SECONDS = 2.0
"""How long what other processes registered may go unseen."""


class RememberingObjects:
    """Remembers names and contents for :data:`SECONDS`, and forgets everything when it writes."""

    def __init__(self, objects: ObjectStore, clock: Callable[[], float] = time.monotonic) -> None:
        """Ask *objects*; *clock* is for tests."""
        self._objects = objects
        self._clock = clock
        self._lock = threading.Lock()
        self._names: dict[str, tuple[float, list[str]]] = {}
        self._contents: dict[str, tuple[float, bytes]] = {}

    @property
    def is_conditional(self) -> bool:
        """See :attr:`ObjectStore.is_conditional`."""
        return self._objects.is_conditional

    def get(self, key: str) -> bytes | None:
        """See :meth:`ObjectStore.get`; that there is none is not remembered."""
        now = self._clock()
        with self._lock:
            asked, known = self._contents.get(key, (now - SECONDS, b""))
        if now - asked < SECONDS:
            return known
        content = self._objects.get(key)
        if content is not None:
            with self._lock:
                self._contents[key] = (now, content)
        return content

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """See :meth:`ObjectStore.put`."""
        self._objects.put(key, data, durable=durable)
        self._forget()

    def create(
        self, key: str, data: bytes, *, durable: bool = True, private: bool = False, may_repeat: bool = False
    ) -> bool:
        """See :meth:`ObjectStore.create`."""
        try:
            return self._objects.create(key, data, durable=durable, private=private, may_repeat=may_repeat)
        finally:
            self._forget()  # if it was refused, what is remembered is old

    def claim(self, folder: str) -> bool:
        """See :meth:`ObjectStore.claim`."""
        return self._objects.claim(folder)

    def exists(self, key: str) -> bool:
        """See :meth:`ObjectStore.exists`."""
        return self._objects.exists(key)

    def is_fresh(self, key: str) -> bool:
        """See :meth:`ObjectStore.is_fresh`."""
        return self._objects.is_fresh(key)

    def names(self, prefix: str) -> list[str]:
        """See :meth:`ObjectStore.names`."""
        now = self._clock()
        with self._lock:
            asked, names = self._names.get(prefix, (now - SECONDS, []))
        if now - asked < SECONDS:
            return list(names)
        names = self._objects.names(prefix)
        with self._lock:
            self._names[prefix] = (now, names)
        return list(names)

    def walk(self, prefix: str) -> Iterator[Stored]:
        """See :meth:`ObjectStore.walk`."""
        return self._objects.walk(prefix)

    def delete(self, key: str) -> None:
        """See :meth:`ObjectStore.delete`."""
        self._objects.delete(key)
        self._forget()

    def drop(self, folder: str, last: str = "") -> None:
        """See :meth:`ObjectStore.drop`."""
        self._objects.drop(folder, last)
        self._forget()

    def location(self, key: str) -> str:
        """See :meth:`ObjectStore.location`."""
        return self._objects.location(key)

    def _forget(self) -> None:
        with self._lock:
            self._names.clear()
            self._contents.clear()
