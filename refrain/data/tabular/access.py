"""FileAccess: how the files of a dataset are found, and opened, on any store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from refrain.errors import DataError, DataNotFoundError
from refrain.storage.pattern import literal_part
from refrain.storage.reading import BLOCK
from refrain.storage.sql.database import Database
from refrain.storage.state import stores_without_workspace
from refrain.storage.store import Place as StorePlace
from refrain.storage.stores import Stores

_WEB = ("http://", "https://")


@dataclass(frozen=True, order=True)
class Place:
    """A path, folder or glob as a definition names it.

    :param datastore: the datastore's name; "" for a local path or a URL.
    """

    datastore: str
    path: str

    def __str__(self) -> str:
        return f"{self.path!r} on datastore {self.datastore!r}" if self.datastore else repr(self.path)


@dataclass(frozen=True)
class SourceFile:
    """One file of a dataset.

    :param name: ``/``-rooted, relative to the folder or the fixed part of the glob that found it.
    :param address: what the ``Path`` column shows: ``/``-rooted on its datastore, or the full path or URL.
    :param size: bytes.
    :param at: where it is read.
    :param root: the folder or file whose listing found it, and *name* is relative to; None where it was not listed.
    """

    name: str
    address: str
    size: int
    at: StorePlace
    root: StorePlace | None = field(compare=False, default=None)

    @property
    def path(self) -> str:
        """Its path on its store."""
        return self.at.path

    @property
    def is_local(self) -> bool:
        """Say whether the file lies on a local disk."""
        return self.at.in_place is not None

    @contextmanager
    def open(self, buffering: int = BLOCK) -> Iterator[Any]:
        """Open for reading bytes, decompressed as the name's ending promises.

        :param buffering: see :meth:`refrain.storage.store.Store.open`.
        :raises DataError: when the file cannot be opened.
        """
        with self.at.open(buffering) as raw, _decompressed(raw, self.name) as content:
            yield content


@dataclass(frozen=True)
class SourceRows(SourceFile):
    """The rows of a query in the place of a file; there is nothing to open."""

    at: Any = None

    @property
    def path(self) -> str:
        """What tells it from others."""
        return self.address

    @property
    def is_local(self) -> bool:
        """Say no."""
        return False


class FileAccess(Protocol):
    """What evaluating a dataset needs of the outside world."""

    def database(self, datastore: str) -> Database | None:
        """Return the database that a datastore stands for; None when its rows are in a file here.

        :raises UnknownNameError: for a datastore that is not known.
        """

    def files(self, places: Sequence[Place], *, with_hidden: bool = True) -> list[SourceFile]:
        """Return the files of the places: in the order of the places, sorted by name in each, none twice.

        :param with_hidden: also those below a folder or glob whose name, or whose folder's, starts with ``.`` or ``_``.
        :raises DataNotFoundError: when a place matches nothing.
        :raises DataError: for what is neither a file nor a folder.
        :raises UnknownNameError: for a datastore that is not known.
        """


@dataclass(frozen=True)
class StoreAccess:
    """Access through the stores of a workspace; :data:`ANYWHERE` is that without one."""

    stores: Stores | None = None

    def files(self, places: Sequence[Place], *, with_hidden: bool = True) -> list[SourceFile]:
        """See :meth:`FileAccess.files`."""
        found: dict[StorePlace, SourceFile] = {}
        for place in places:
            files = [f for f in self._listed(place) if with_hidden or not _is_hidden(f)]
            if not files:
                raise DataNotFoundError(f"{place} matches no file. Correct the path, or write the data first.")
            for file in files:
                found.setdefault(file.at, file)
        return list(found.values())

    def database(self, datastore: str) -> Database:
        """See :meth:`FileAccess.database`."""
        return (self.stores or stores_without_workspace()).database(datastore)

    def at(self, place: Place) -> StorePlace:
        """Return where a place is.

        :raises UnknownNameError: for a datastore that is not known.
        """
        stores = self.stores or stores_without_workspace()
        return stores.on(place.datastore, place.path) if place.datastore else stores.named(place.path)

    def root_of(self, place: Place) -> str:
        """Return the folder or URL that a place's datastore stands for; raises as :meth:`at`."""
        return self.at(Place(place.datastore, "")).path

    def _listed(self, place: Place) -> Iterator[SourceFile]:
        at = self.at(place)
        base = self.root_of(place) if place.datastore else None
        is_pattern = at.is_pattern()
        root = StorePlace(at.store, literal_part(at.path)) if is_pattern else at
        if is_pattern:
            found = at.store.match(at.path)
        else:
            found = {at.below(below).path: size for below, size in at.sizes().items()}
            if not found and not at.exists():
                raise DataNotFoundError(f"{place} does not exist. Correct the path, or write the data first.")
        if base is not None and at.in_place is not None:
            _require_inside(found, base, place.datastore)
        for path, size in found.items():
            address = path if base is None else "/" + path[len(base) :].lstrip("/")
            yield SourceFile(f"/{_below(root, path)}", address, size, StorePlace(at.store, path), root)


ANYWHERE = StoreAccess()
"""Access to local paths and to URLs, without a workspace."""


@dataclass(frozen=True)
class ListedFiles:
    """Access to files that somebody else has found, such as those that a step's process is given."""

    listed: tuple[SourceFile, ...]

    def files(self, places: Sequence[Place], *, with_hidden: bool = True) -> list[SourceFile]:  # noqa: ARG002
        """Return the files, whatever the places are."""
        return list(self.listed)

    def database(self, datastore: str) -> None:
        """Return None: what was asked of a database is among the files."""


def _require_inside(paths: Iterable[str], root: str, datastore: str) -> None:
    """Refuse links that leave a datastore: what it holds could change without anybody who may write to it.

    :raises DataError: when a file, or a folder above it, is such a link.
    """
    top = os.path.realpath(root)
    is_inside = lru_cache(maxsize=None)(lambda path: os.path.commonpath((os.path.realpath(path), top)) == top)
    for path in paths:
        if not is_inside(os.path.dirname(path)) or (os.path.islink(path) and not is_inside(path)):
            raise DataError(
                f"{path!r} leads to {os.path.realpath(path)!r}, outside of datastore {datastore!r} at {root!r}. Copy "
                "the data, or register the other folder as a datastore of its own."
            )


def _below(root: StorePlace, path: str) -> str:
    """Return the name of a file below the place that was listed; a file that was listed itself keeps its own."""
    if path != root.path:
        return path[len(root.path) :].lstrip("/")
    return root.name.partition("?")[0] if path.startswith(_WEB) else root.name


def _is_hidden(file: SourceFile) -> bool:
    is_named = file.root is not None and file.root.path == file.at.path
    return not is_named and any(part[:1] in "._" for part in file.name[1:].split("/"))


def _decompressed(raw: Any, name: str) -> Any:
    from fsspec.compression import compr
    from fsspec.utils import infer_compression

    kind = infer_compression(os.path.basename(name))
    return nullcontext(raw) if kind is None else compr[kind](raw, mode="rb")
