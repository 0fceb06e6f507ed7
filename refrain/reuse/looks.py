"""Looks: what is stored at the places of outputs; other machines are asked about all of them at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from refrain.data.handle import DataHandle
from refrain.errors import RefrainError
from refrain.storage.store import Place
from refrain.storage.stores import Stores
from refrain.storage.trees import OUTPUT, TreeIdentity

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_HERE = "file:"
_PARALLEL = 16


class Looks:
    """The looks that one decision needs. What is on this machine is looked at when it is asked for."""

    def __init__(self, stores: Stores) -> None:
        """Look at what is in *stores*; nothing is begun yet."""
        self._stores = stores
        self._begun: dict[DataHandle, Future[TreeIdentity]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def begin(self, handles: Iterable[DataHandle]) -> None:
        """Begin to look at what is elsewhere, and return at once."""
        for handle in handles:
            if handle.uri.startswith(_HERE) or handle in self._begun:
                continue
            with contextlib.suppress(RefrainError):  # told to whoever asks
                self._begun[handle] = self._hands().submit(self._stores.at(handle.uri).identify, OUTPUT)

    def at(self, place: Place, handle: DataHandle) -> TreeIdentity:
        """Return what is stored at the place of a handle; raises as :meth:`refrain.storage.store.Store.identify`."""
        begun = self._begun.get(handle) if self._begun else None
        return place.identify(OUTPUT) if begun is None else begun.result()

    def close(self) -> None:
        """Wait for what was begun and is not needed."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _hands(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor  # here: what is on this machine needs none

        if self._pool is None:
            self._pool = ThreadPoolExecutor(_PARALLEL, "look")
        return self._pool
