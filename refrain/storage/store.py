"""Store: what the engine needs of the place where data is, whichever file system that is."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from refrain.storage.listing import Listed, Listing
from refrain.storage.manifest import Manifest
from refrain.storage.pattern import is_pattern
from refrain.storage.reading import BLOCK
from refrain.storage.streams import Reading, Writing
from refrain.storage.trees import DATA, TreeIdentity, TreeRules
from refrain.values import dataclass

TABLE_SCHEME = "database"
"""The scheme of the URIs of tables, which are places too; see :mod:`refrain.storage.sql.table_store`."""


class Store(Protocol):
    """A file system. Its paths are absolute: of local files as the system writes them, of all others URLs.

    Everything raises :class:`refrain.errors.DataError` when the file system fails, and
    :class:`refrain.errors.DataNotFoundError` when nothing is at a path.
    """

    def uri(self, path: str) -> str:
        """Return the URI by which a reference names *path*."""

    def in_place(self, path: str) -> Path | None:
        """Return where processes of this machine find *path*; None when it must be brought here first."""

    def exists(self, path: str) -> bool:
        """Say whether a file or a folder is at *path*."""

    def identify(self, path: str, rules: TreeRules = DATA) -> TreeIdentity:
        """Return kind, digest and size of the tree at *path*, reading no file that has not changed."""

    def manifest(self, path: str, rules: TreeRules = DATA) -> Manifest:
        """Return the manifest behind :meth:`identify`."""

    def match(self, pattern: str) -> dict[str, int]:
        """Return the files that match a glob (``*``, ``?``, ``[…]``, ``**``), sorted, with their sizes in bytes."""

    def sizes(self, path: str) -> dict[str, int]:
        """Return the relative paths of all files below a folder, sorted, with their sizes in bytes.

        A file answers with itself, as ``""``; where there is nothing, there are none.
        """

    def open(self, path: str, buffering: int = BLOCK) -> BinaryIO:
        """Open a file for reading; of one that is elsewhere only what is asked for is fetched.

        :param buffering: how many bytes are fetched at once; 0 for exactly those of each read.
        """

    def listing(self, path: str, *, is_filling: bool = False) -> Listing:
        """List the files of a tree, with sizes and tags; what is not there is :attr:`TreeKind.MISSING`.

        :param is_filling: also list a folder that a copy has not filled yet, which is refused otherwise.
        """

    def reading(self, listed: Listed) -> Reading:
        """Return a file of a listing, to be read by ranges."""

    def writing(self, path: str) -> Writing:
        """Return a file to be, which appears whole."""

    def mount(self, path: str, view: Path, *, is_lazy: bool = False) -> Path:
        """Return where the tree can be read on this machine.

        :param view: a path of the caller's own where nothing is yet; may be used to put the tree together.
        :param is_lazy: bytes may come when they are read; the caller ends it with :func:`refrain.storage.views.end`.
        """

    def link(self, pairs: Iterable[tuple[str, Path]]) -> None:
        """Make files ``(path, local target)`` readable at their targets, by links and not by copies of their own."""

    def get(self, pairs: Iterable[tuple[str, Path]]) -> None:
        """Copy files ``(path, local target)``; each target appears whole or not at all."""

    def put(self, pairs: Iterable[tuple[Path, str]]) -> None:
        """Copy local files ``(source, path)``, replacing what is there."""

    def clash(self, source: Path, path: str) -> str | None:
        """Return a file that publishing the local tree *source* at *path* would replace; None when all is free."""

    def publish(self, source: Path, path: str, written: Manifest) -> None:
        """Bring a finished local tree to *path*, merging it with a folder that is there; *source* may be gone then.

        :param written: what is in *source*.
        :raises OSError: when it cannot be stored.
        """

    def filling(self, path: str, source: str, *, is_fresh: bool) -> AbstractContextManager[str]:
        """Give the path below which a folder is put together that is at *path* when the block ends well.

        Until then, nobody of ours takes *path* for complete; what an interrupted block has left there is found again.

        :param source: where the files come from, for people who find the folder half-filled.
        :param is_fresh: what an earlier block has left counts no more.
        :raises DataError: when somebody else is filling it, or it cannot be written.
        """

    def sign(self, path: str) -> bytes | None:
        """Return the sign of a copy that fills the folder *path*, or was interrupted; None when there is none."""

    def require_filled(self, path: str) -> None:
        """Refuse what is below a folder that a copy fills; :meth:`listing` sees only what is in the tree itself.

        It asks once for each folder above, so that it is for those who are about to use the data, not for those who
        find it unchanged.

        :raises DataError: when there is such a folder.
        """

    def accept(self, path: str, arrived: Mapping[str, tuple[int, str]], content: Manifest | None) -> None:
        """Check that the store has what was sent to *path*, and remember what it is.

        :param arrived: sizes and tags by relative path.
        :param content: what it is, where the content of every file is known.
        :raises DataError: when it has not.
        """

    def remove(self, path: str) -> None:
        """Delete the tree at *path*, and its parent when that is empty then; nothing happens when there is none."""


@dataclass(frozen=True)
class Place:
    """A path on a store."""

    store: Store
    path: str

    @property
    def uri(self) -> str:
        """The URI by which a reference names the place."""
        return self.store.uri(self.path)

    @property
    def in_place(self) -> Path | None:
        """See :meth:`Store.in_place`."""
        return self.store.in_place(self.path)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rstrip("/").rpartition("/")[2]

    def __str__(self) -> str:
        return self.path

    def below(self, relative: str) -> Place:
        """Return the place of a relative path; the empty one is the place itself."""
        return Place(self.store, f"{self.path.rstrip('/')}/{relative}") if relative else self

    def covers(self, other: Place) -> bool:
        """Say whether *other* is this place or below it."""
        return self.store is other.store and f"{other.path}/".startswith(f"{self.path.rstrip('/')}/")

    def is_pattern(self) -> bool:
        """Say whether the path is a glob: it has wildcards, and nothing is called by just these characters."""
        return is_pattern(self.path) and not self.exists()

    def exists(self) -> bool:
        """See :meth:`Store.exists`."""
        return self.store.exists(self.path)

    def identify(self, rules: TreeRules = DATA) -> TreeIdentity:
        """See :meth:`Store.identify`."""
        return self.store.identify(self.path, rules)

    def manifest(self, rules: TreeRules = DATA) -> Manifest:
        """See :meth:`Store.manifest`."""
        return self.store.manifest(self.path, rules)

    def listing(self, *, is_filling: bool = False) -> Listing:
        """See :meth:`Store.listing`."""
        return self.store.listing(self.path, is_filling=is_filling)

    def sizes(self) -> dict[str, int]:
        """See :meth:`Store.sizes`."""
        return self.store.sizes(self.path)

    def files(self) -> list[str]:
        """Return the relative paths of all files below a folder, sorted; ``[""]`` for a file, none for nothing."""
        return list(self.sizes())

    def require_filled(self) -> None:
        """See :meth:`Store.require_filled`."""
        self.store.require_filled(self.path)

    def open(self, buffering: int = BLOCK) -> BinaryIO:
        """See :meth:`Store.open`."""
        return self.store.open(self.path, buffering)

    def download(self, target: Path) -> None:
        """Copy the tree at this place to the local path *target*."""
        self.store.get((self.below(file).path, target / file if file else target) for file in self.files())


def is_below(path: str, folders: Container[str]) -> bool:
    """Say whether a path leads through one of *folders*, which are paths themselves."""
    return any(path[:at] in folders for at, character in enumerate(path) if character == "/")


def common_folder(places: Sequence[Place]) -> str:
    """Return the folder that all places are in; empty when they are on different file systems."""
    columns = zip(*(place.path.split("/")[:-1] for place in places), strict=False)  # the shortest path ends it
    common = itertools.takewhile(lambda column: len(set(column)) == 1, columns)
    return "/".join(column[0] for column in common)
