"""Endings: the rows of files whose names say what they are."""

from __future__ import annotations

from refrain.data.tabular.access import Place, StoreAccess
from refrain.data.tabular.dataset import TabularDataset
from refrain.data.tabular.source import Delimited, Format, Parquet, Source
from refrain.errors import DataError, DataNotFoundError
from refrain.storage.store import Place as StorePlace
from refrain.storage.stores import Stores

_FORMATS: dict[str, Format] = {
    ".csv": Delimited(support_multi_line=True),
    ".csv.gz": Delimited(support_multi_line=True),
    ".tsv": Delimited("\t", support_multi_line=True),
    ".parquet": Parquet(),
}


def rows_at(place: StorePlace, stores: Stores) -> TabularDataset:
    """Return the rows of a file, or of all files below a folder; they must be of one kind.

    :raises DataNotFoundError: when there is no file.
    :raises DataError: for files of two kinds, or one of another.
    """
    names = [name for name in place.files() if not _is_hidden(name)]
    if not names:
        raise DataNotFoundError(f"There is no file at {place} whose rows could be read.")
    found = {_ending(name or place.name): place.below(name) for name in names}
    if "" in found:
        raise DataError(
            f"{found['']} is no file of rows: its name ends in none of {', '.join(_FORMATS)}. Name the files alone."
        )
    if len(found) > 1:
        one, two, *_ = found.values()
        raise DataError(f"{one} and {two} are of different kinds. Put files of each kind into a folder of their own.")
    (ending,) = found
    return TabularDataset(Source((Place("", place.path),), _FORMATS[ending]), access=StoreAccess(stores))


def _ending(name: str) -> str:
    return next((ending for ending in _FORMATS if name.lower().endswith(ending)), "")


def _is_hidden(name: str) -> bool:
    return any(part[:1] in ("_", ".") for part in name.split("/") if part)
