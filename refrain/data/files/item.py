"""FileItem: one file of a file dataset, and how it gets to a local disk without ever being there by half."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from refrain.data.tabular.access import FileAccess, Place, SourceFile, list_files
from refrain.errors import DataError, DataNotFoundError

_BLOCK = 4 << 20


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
        """Write the file to a local path, whose folder exists."""


class FileOrigin(Protocol):
    """Where the files of a dataset come from."""

    def items(self, access: FileAccess) -> list[FileItem]:
        """Return the files, in the dataset's order."""

    def to_json(self) -> dict[str, Any]:
        """Return the definition as JSON values."""


@dataclass(frozen=True)
class StoredFiles:
    """Files that are there, by path, folder or glob."""

    places: tuple[Place, ...]

    def items(self, access: FileAccess) -> list[FileItem]:
        """Return the files, in the dataset's order."""
        return [StoredFile(file) for file in list_files(self.places, access)]

    def to_json(self) -> dict[str, Any]:
        """Return the definition as JSON values."""
        return {"origin": "stored", "places": [[place.datastore, place.path] for place in self.places]}


@dataclass(frozen=True)
class StoredFile:
    """A file on any fsspec file system."""

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
        """Write the file to a local path, whose folder exists.

        :raises DataError: when fewer bytes arrive than the file has.
        """
        written = 0
        with self.file.open() as source, target.open("wb") as copy:
            while block := source.read(_BLOCK):
                written += copy.write(block)
        if self.file.size and written != self.file.size:
            raise DataError(f"{self.address!r} has {self.file.size} bytes, but {written} arrived. Fetch it again.")


def fetch(item: FileItem, folder: Path, overwrite: bool, ignore_not_found: bool) -> Path | None:
    """Write a file below a local folder under its name; what is visible there is complete.

    :return: the local path, or None for a file that is gone and may be.
    :raises DataError: for a file that is there already, or a name that would leave the folder.
    """
    parts = item.name.strip("/").split("/")
    if ".." in parts:
        raise DataError(f"{item.address!r} would be written outside of {str(folder)!r}: '..' is not allowed in names.")
    target = folder.joinpath(*parts)
    if target.exists() and not overwrite:
        raise DataError(f"{str(target)!r} exists. Pass overwrite=True to replace it, or another target_path.")
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        item.save(unfinished)
        os.replace(unfinished, target)
    except (FileNotFoundError, DataError) as error:
        if ignore_not_found and _is_gone(error):
            return None
        raise (
            DataNotFoundError(f"{item.address!r} is gone since it was listed.") if _is_gone(error) else error
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def _is_gone(error: BaseException) -> bool:
    return isinstance(error, FileNotFoundError) or isinstance(error.__cause__, FileNotFoundError)
