"""FileItem: one file of a file dataset, and how it gets to a local disk without ever being there by half."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from refrain.data.tabular.access import FileAccess, Place, SourceFile
from refrain.errors import DataError, DataNotFoundError


class FileItem(Protocol):
    """A file as a dataset lists it."""

    @property
    def name(self) -> str:
        """``/``-rooted, relative to the dataset's root."""

    @property
    def address(self) -> str:
        """What messages and the ``Path`` column call it."""

    @property
    def size(self) -> int:
        """Bytes; 0 if that is not known before it is fetched."""

    def save(self, target: Path) -> None:
        """Write the file to a local path, whose folder exists; it is there whole or not at all."""


class FileOrigin(Protocol):
    """Where the files of a dataset come from."""

    def items(self, access: FileAccess) -> list[FileItem]:
        """Return the files, in the dataset's order."""

    def stored(self, access: FileAccess) -> list[SourceFile]:
        """Return the stored files that they are made of."""

    def told_of(self, file: SourceFile) -> list[Any]:
        """Return what they tell of one of those beside its name and content."""

    def to_json(self) -> dict[str, Any]:
        """Return the definition as JSON values."""


@dataclass(frozen=True)
class StoredFiles:
    """Files that are there, by path, folder or glob."""

    places: tuple[Place, ...]

    def items(self, access: FileAccess) -> list[FileItem]:
        """Return the files, in the dataset's order."""
        return [StoredFile(file) for file in self.stored(access)]

    def stored(self, access: FileAccess) -> list[SourceFile]:
        """Return the files as the store lists them."""
        return access.files(self.places)

    def told_of(self, file: SourceFile) -> list[Any]:  # noqa: ARG002  # the files are what they are
        """Return nothing."""
        return []

    def to_json(self) -> dict[str, Any]:
        """Return the definition as JSON values."""
        return {"origin": "stored", "places": [[place.datastore, place.path] for place in self.places]}


@dataclass(frozen=True)
class StoredFile:
    """A file on a store."""

    file: SourceFile

    @property
    def name(self) -> str:
        """``/``-rooted, relative to the dataset's root."""
        return self.file.name

    @property
    def address(self) -> str:
        """What messages and the ``Path`` column call it."""
        return self.file.address

    @property
    def size(self) -> int:
        """Bytes."""
        return self.file.size

    def save(self, target: Path) -> None:
        """See :meth:`FileItem.save`."""
        self.file.at.store.get([(self.file.path, target)])


def fetch(item: FileItem, folder: Path, overwrite: bool, ignore_not_found: bool) -> Path | None:
    """Write a file below a local folder under its name; what is visible there is complete.

    :return: the local path, or None for a file that is gone and may be.
    :raises DataError: for a file that is there already, or a name that would leave the folder.
    """
    target = place_below(folder, item)
    if target.exists() and not overwrite:
        raise DataError(f"{str(target)!r} exists. Pass overwrite=True to replace it, or another target_path.")
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        item.save(unfinished)
        os.replace(unfinished, target)
    except OSError as error:
        if _is_gone(error) and ignore_not_found:
            return None
        if _is_gone(error):
            raise DataNotFoundError(f"{item.address!r} is gone since it was listed.") from error
        raise (
            error
            if isinstance(error, DataError)
            else DataError(f"{item.address!r} cannot be written to {str(target)!r}: {error.strerror}.")
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def place_below(folder: Path, item: FileItem) -> Path:
    """Return where a file of a dataset goes below a local folder.

    :raises DataError: when its name would leave the folder.
    """
    parts = item.name.strip("/").split("/")
    if ".." in parts:
        raise DataError(f"{item.address!r} would be written outside of {str(folder)!r}: '..' is not allowed in names.")
    return folder.joinpath(*parts)


def _is_gone(error: BaseException) -> bool:
    return isinstance(error, FileNotFoundError) or isinstance(error.__cause__, FileNotFoundError)
