"""Datasets as inputs: which files decide one, and what a step's process gets of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import ClassVar

from refrain.data import brought
from refrain.data.definition import AnyDataset, dataset_from
from refrain.data.files.dataset import FileDataset
from refrain.data.files.item import fetch
from refrain.data.files.mount import show
from refrain.data.ports import InputMode
from refrain.data.recipe import placed
from refrain.data.tabular.access import ListedFiles, SourceFile, StoreAccess
from refrain.errors import DataError
from refrain.storage.digest import digest_bytes
from refrain.storage.store import Place, Store
from refrain.storage.stores import Stores
from refrain.storage.trees import DATA


@dataclass(frozen=True)
class MadeDataset:
    """A dataset that a recipe makes of an input's files.

    :param listed: the files among which it chooses.
    :param needed: those that decide what is in it.
    """

    dataset: AnyDataset
    listed: tuple[SourceFile, ...]
    needed: tuple[SourceFile, ...]

    is_kept: ClassVar[bool] = False
    """Whether a process gets the very data that was counted, whatever becomes of the source."""

    @property
    def bytes(self) -> int:
        """The sum of the sizes of the files that are needed."""
        return sum(file.size for file in self.needed)

    def digest(self) -> str:
        """Return the digest of the files that are needed: their names, their content, and what is told of them."""
        digests = _digests(self.needed)
        rows = [[f.name, digests[f.path], self._told(f)] for f in self.needed]
        return digest_bytes(b"dataset files\n" + json.dumps(rows).encode())

    def told_with(self, digest: str) -> str:
        """Return a digest of the whole data with what is told of its files; the digest itself if nothing is."""
        told = [self._told(file) for file in self.needed]
        return digest_bytes(b"told files\n" + json.dumps([digest, told]).encode()) if any(told) else digest

    def provide(self, mode: InputMode, target: Path, view: Path, description: Path) -> str:
        """Put the dataset where a process finds it, and return its path; for one that is given as an object, its id.

        :param target: where a folder of its files is made.
        :param view: a folder for links to what is on another file system.
        :param description: what the process makes an object of.
        :raises DataError: when files cannot be brought here.
        """
        places = _brought(self.needed, view)
        if mode is InputMode.DIRECT:
            description.parent.mkdir(parents=True, exist_ok=True)
            description.write_text(brought.describe(self.dataset, self.listed, places), encoding="utf-8")
            return self.dataset.id
        dataset = brought.over(self.dataset, self.listed, places)
        if not isinstance(dataset, FileDataset):
            raise DataError("A tabular dataset has no files that could be put into a folder.")
        target.mkdir(parents=True, exist_ok=True)
        items = dataset.distinct_files()
        if mode is InputMode.DOWNLOAD:
            for item in items:
                fetch(item, target, overwrite=True, ignore_not_found=False)
        else:
            show(items, target)
        return str(target)

    def _told(self, file: SourceFile) -> list[str]:
        return [str(value) for value in self.dataset.told_of(file)]


def make(recipe: str, places: Sequence[Place], stores: Stores) -> MadeDataset:
    """Return the dataset of a recipe over places, whose files are listed now.

    :raises DataError: when they cannot be, or a place has none.
    """
    named = (stores.datastore_of(place) or ("", place.path) for place in places)
    definition = placed(recipe, named)
    dataset = dataset_from(definition, StoreAccess(stores))
    listed = tuple(dataset.source_files())
    return MadeDataset(dataset, listed, tuple(dataset_from(definition, ListedFiles(listed)).needed_files()))


def _digests(files: Sequence[SourceFile]) -> dict[str, str]:
    """Return the digests of files by their paths.

    Those of a store that lists digests, and those of a whole folder, cost one look.
    """
    digests: dict[str, str] = {}
    for root, group in groupby(files, lambda file: file.root):
        members = list(group)
        if root is None or (root.in_place is not None and len(root.sizes()) != len(members)):
            digests |= {file.path: file.at.manifest(DATA).entries[0].digest for file in members}
        else:
            digests |= {root.below(entry.path).path: entry.digest for entry in root.manifest(DATA).entries}
    return digests


def _brought(files: Iterable[SourceFile], view: Path) -> dict[str, Path]:
    """Return where files can be read on this machine, by their paths; what is elsewhere is fetched."""
    places: dict[str, Path] = {}
    waiting: dict[Store, list[tuple[str, Path]]] = {}
    for number, file in enumerate(files):
        local = file.at.in_place
        places[file.path] = local or view / str(number) / file.name.rpartition("/")[2]
        if local is None:
            waiting.setdefault(file.at.store, []).append((file.path, places[file.path]))
    for store, pairs in waiting.items():
        store.link(pairs)
    return places
