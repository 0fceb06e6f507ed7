"""Written tables: tables put below a new folder, whole or not at all, and the datasets of what was put there."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refrain.data.datastore import Datastore
from refrain.data.tabular.access import Place
from refrain.data.tabular.dataset import TabularDataset
from refrain.data.tabular.places import place_of
from refrain.data.tabular.source import Parquet, Source
from refrain.errors import DataError, UserError, known
from refrain.storage.store import Place as StorePlace

_MANAGED = "managed-dataset"


@contextmanager
def new_folder(place: StorePlace) -> Iterator[Path]:
    """Yield a local folder whose files are below a new place afterwards, or nothing when writing them failed.

    Files for another file system are kept on this one until all of them are written.
    """
    local = place.in_place
    try:
        if local is not None:
            local.mkdir(parents=True)
            yield local
            return
        with tempfile.TemporaryDirectory(prefix="refrain-") as folder:
            yield Path(folder)
            files = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
            place.store.put((file, place.below(file.relative_to(folder).as_posix()).path) for file in files)
    except BaseException as error:
        place.store.remove(place.path)
        if isinstance(error, OSError) and not isinstance(error, DataError):
            raise DataError(f"{place} cannot be written: {error.strerror or error}.") from error
        raise


def below_new_id(place: Place) -> Place:
    """Return a new place below one."""
    return Place(place.datastore, f"{place.path}/{uuid.uuid4()}" if place.path else str(uuid.uuid4()))


def write_frame(frame: Any, target: Any, row_group_size: int | None, is_unique: bool) -> TabularDataset:
    """Write a data frame as one Parquet file below a target, and return its dataset.

    :param is_unique: into a new folder below the target's path.
    :raises UserError: for what is no data frame, a target that is taken, or columns of one name.
    """
    import pyarrow as pa
    from pyarrow import parquet

    what = "Dataset.Tabular.register_pandas_dataframe"
    place, access = place_of((target, _MANAGED) if isinstance(target, Datastore) else target, what)
    table = _table(frame, what)
    folder = below_new_id(place) if is_unique else place
    if access.at(folder).exists():
        raise UserError(f"{what}: there is something at {folder} already. Pass make_target_path_unique=True.")
    try:
        with new_folder(access.at(folder)) as path:
            parquet.write_table(table, path / "part-00000.parquet", row_group_size=row_group_size)
    except pa.ArrowException as error:
        raise DataError(f"{what}: the data frame cannot be written as Parquet: {error}.") from error
    return TabularDataset(Source((folder,), Parquet()), access=access)


def _table(frame: Any, what: str) -> Any:
    import pandas as pd
    import pyarrow as pa

    if not isinstance(frame, pd.DataFrame):
        raise UserError(f"{what}: {type(frame).__name__} is no pandas data frame.")
    names = [str(name).replace(".", "_") for name in frame.columns]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"{what}: several columns would be called {known(twice)}, for '.' becomes '_'. Rename them.")
    try:
        return pa.Table.from_pandas(frame.set_axis(names, axis="columns"), preserve_index=False)
    except pa.ArrowException as error:
        raise DataError(f"{what}: the data frame holds values of several types in one column: {error}.") from error
