"""Queries as inputs: what a database answers is kept once, in the worker's cache, and a process reads it there.

The process has no credentials and needs no network. It gets the dataset's definition over the file with the answer, so
that operations, types and the dataset's id are those of the workspace.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from refrain.data.definition import AnyDataset, dataset_from
from refrain.data.ports import InputMode
from refrain.data.recipe import placed
from refrain.data.sql.snapshot import Query, query_of
from refrain.data.tabular.access import SourceFile, StoreAccess
from refrain.errors import InputChangedError
from refrain.execution.datasets import MadeDataset
from refrain.storage.digest import digest_bytes
from refrain.storage.sql.database import Database
from refrain.storage.stores import Stores

_NAME = "/rows.parquet"


@dataclass(frozen=True)
class QueriedDataset:
    """A dataset of a query, and its answer once that was asked for.

    :param digest: of the answer's rows; "" before.
    :param key: of the answer in the worker's cache.
    :param size: of the file with the answer, in bytes.
    """

    dataset: AnyDataset
    query: Query
    database: Database
    stores: Stores
    digest: str = ""
    key: str = ""
    size: int = 0

    is_kept: ClassVar[bool] = True
    """See :attr:`refrain.execution.datasets.MadeDataset.is_kept`."""

    def told_with(self, digest: str) -> str:
        """Return the digest: of rows, nothing is told beside them."""
        return digest

    def answered(self) -> QueriedDataset:
        """Ask the database, keep the answer, and return the dataset with it.

        :raises DataError: when the database cannot answer, or the answer cannot be kept.
        """
        taken = []

        def write(path: Path) -> str:
            taken.append(self.query.answer(self.database, path))
            return _key(taken[0].digest, taken[0].bytes)

        key, size = self.stores.cache.add(write)
        self.stores.cache.make_room()
        return replace(self, digest=taken[0].digest, key=key, size=size)

    def provide(self, mode: InputMode, target: Path, view: Path, description: Path) -> str:
        """Put the dataset where a process finds it; see :meth:`refrain.execution.datasets.MadeDataset.provide`."""
        if not self.key:
            return self.answered().provide(mode, target, view, description)
        path = view / "rows.parquet"
        self.put(path)
        file = SourceFile(_NAME, f"query on {self.database.location.name}", self.size, self.stores.local(path))
        return MadeDataset(self.dataset, (file,), (file,)).provide(mode, target, view, description)

    def put(self, path: Path) -> None:
        """Put the answer at a path of the worker's cache, as a Parquet file; raises as :meth:`answered`."""
        if not self.key:
            self.answered().put(path)
            return
        self.stores.cache.link(self.key, self.size, path, self._again)

    def _again(self, path: Path) -> None:
        """Ask once more, where the cache has lost the answer."""
        taken = self.query.answer(self.database, path)
        if _key(taken.digest, taken.bytes) != self.key:
            raise InputChangedError(
                f"The rows of {self.database.location} changed while the step was prepared. Run the step again."
            )


def ask(recipe: str, datastore: str, stores: Stores) -> QueriedDataset:
    """Return the dataset of a recipe over a database, which is not asked yet.

    :raises UnknownNameError: when there is no such datastore.
    :raises UserError: when it is no database.
    """
    dataset = dataset_from(placed(recipe, [(datastore, "")]), StoreAccess(stores))
    database = stores.database(datastore)
    return QueriedDataset(dataset, query_of(dataset, database.location.database.product), database, stores)


def _key(digest: str, size: int) -> str:
    """Return an answer's key: the same rows may come in another order, and then fill another file."""
    return digest_bytes(f"rows\n{digest}\n{size}".encode())
