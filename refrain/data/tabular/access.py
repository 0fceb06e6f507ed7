"""FileAccess: where the places of a dataset are found, on any fsspec file system."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from refrain.errors import DataError, DataNotFoundError, UnknownNameError, did_you_mean, known

_MAGIC = ("*", "?", "[")


@dataclass(frozen=True, order=True)
class Place:
    """A path, folder or glob.

    :param datastore: the datastore's name; "" for a local path or a URL.
    """

    datastore: str
    path: str

    def __str__(self) -> str:
        return f"{self.path!r} on datastore {self.datastore!r}" if self.datastore else repr(self.path)


class FileAccess(Protocol):
    """What evaluating a dataset needs of the outside world."""

    def locate(self, place: Place) -> tuple[Any, str]:
        """Return the fsspec file system of a place and the place's full path on it.

        :raises UnknownNameError: for a datastore that is not known.
        """


@dataclass(frozen=True)
class Folders:
    """Access to local paths, to URLs, and to datastores by a table of their roots.

    :param roots: datastore name to a folder, a URL, or a pair of an fsspec file system and a path on it.
    """

    roots: Mapping[str, str | tuple[Any, str]] = field(default_factory=dict)

    def locate(self, place: Place) -> tuple[Any, str]:
        """Return the fsspec file system of a place and the place's full path on it."""
        from fsspec.core import url_to_fs

        if not place.datastore:
            fs, path = url_to_fs(place.path)
            return fs, path
        if place.datastore not in self.roots:
            raise UnknownNameError(
                f"Unknown datastore {place.datastore!r}. Known here: {known(self.roots)}."
                f"{did_you_mean(place.datastore, self.roots)} Open the dataset through a workspace that has it."
            )
        root = self.roots[place.datastore]
        fs, base = url_to_fs(root) if isinstance(root, str) else root
        return fs, "/".join(part for part in (base.rstrip("/"), place.path.strip("/")) if part)

    def __or__(self, other: Folders) -> Folders:
        return Folders({**self.roots, **other.roots})


@dataclass(frozen=True)
class SourceFile:
    """One file of a dataset.

    :param path: on its file system.
    :param name: ``/``-rooted, relative to the folder or the fixed part of the glob that found it.
    :param address: what the ``Path`` column shows: ``/``-rooted on its datastore, or the full path or URL.
    :param size: bytes.
    """

    path: str
    name: str
    address: str
    size: int
    fs: Any = field(compare=False, repr=False, default=None)

    def open(self, compression: str | None = None) -> Any:
        """Open for reading bytes.

        :param compression: ``infer`` undoes what the name's ending promises.
        :raises DataError: when the file cannot be opened.
        """
        try:
            return self.fs.open(self.path, "rb", compression=compression)
        except OSError as error:
            raise DataError(f"Cannot read {self.address!r}: {error.strerror or error}.") from error

    @property
    def is_local(self) -> bool:
        """Say whether the file lies on a local disk."""
        return "file" in (self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,))


def list_files(places: Iterable[Place], access: FileAccess, *, with_hidden: bool = True) -> list[SourceFile]:
    """Return the files of the places: in the order of the places, sorted by name in each, none twice.

    :param with_hidden: also those below a folder or glob whose name, or whose folder's, starts with ``.`` or ``_``.
    :raises DataNotFoundError: when a place matches nothing.
    :raises DataError: for what is neither a file nor a folder.
    """
    found: dict[str, SourceFile] = {}
    for place in places:
        before = len(found)
        files = list(_files_of(place, access, with_hidden))
        for file in files:
            found.setdefault(f"{id(file.fs)}:{file.path}", file)
        if not files and len(found) == before:
            raise DataNotFoundError(f"{place} matches no file. Correct the path, or write the data first.")
    return list(found.values())


def _files_of(place: Place, access: FileAccess, with_hidden: bool) -> Iterator[SourceFile]:
    fs, full = access.locate(place)
    root, infos = _find(fs, full, place)
    for path in sorted(infos):
        name = "/" + path[len(root) :].lstrip("/")
        if path != full.rstrip("/") and not with_hidden and any(part[:1] in "._" for part in name[1:].split("/")):
            continue
        kind = infos[path].get("type")
        if kind not in {"file", "link"}:
            raise DataError(f"{path!r} is no regular file (it is {kind!r}). Take it out of {place}.")
        base = full[: len(full) - len(place.path.strip("/"))] if place.datastore else ""
        address = "/" + path[len(base) :].lstrip("/") if place.datastore else fs.unstrip_protocol(path)
        yield SourceFile(path, name, address.removeprefix("file://"), int(infos[path].get("size") or 0), fs)


def _find(fs: Any, full: str, place: Place) -> tuple[str, dict[str, Any]]:
    """Return the folder that names are relative to, and path to fsspec's information for every file."""
    try:
        if any(mark in full for mark in _MAGIC) and not fs.exists(full):
            parts = full.split("/")
            fixed = next(number for number, part in enumerate(parts) if any(mark in part for mark in _MAGIC))
            return "/".join(parts[:fixed]), _expanded(fs, fs.glob(full, detail=True))
        info = fs.info(full)
        if info["type"] == "directory":
            return full.rstrip("/"), fs.find(full, detail=True)
        return os.path.dirname(full), {full: info}
    except FileNotFoundError as error:
        raise DataNotFoundError(f"{place} does not exist. Correct the path, or write the data first.") from error
    except PermissionError as error:
        raise DataError(f"{place} cannot be listed: permission denied. Ask for the right to read it.") from error


def _expanded(fs: Any, infos: dict[str, Any]) -> dict[str, Any]:
    """A folder that a glob matches stands for everything below it."""
    found: dict[str, Any] = {}
    for path, info in infos.items():
        found.update(fs.find(path, detail=True) if info["type"] == "directory" else {path: info})
    return found
