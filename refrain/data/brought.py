"""Brought: a dataset in the process of a step, over the files that the engine has brought to its machine.

The process has no credentials and needs no network. It is told the definition, what every file was called where the
workspace has it, and where those files are here that decide the rows; so that rows, ``Path`` columns and partition
columns are those of the workspace.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from refrain.data.definition import AnyDataset, dataset_from
from refrain.data.tabular.access import ListedFiles, SourceFile
from refrain.errors import DataError
from refrain.storage.state import stores_without_workspace

SCHEMA = 1
RUN_FOLDER = "REFRAIN_RUN_DIR"


def over(dataset: AnyDataset, listed: Iterable[SourceFile], places: Mapping[str, Path]) -> AnyDataset:
    """Return a dataset over local copies of its files.

    :param listed: every file among which it chooses.
    :param places: where the files that it needs are, by their path on their store.
    """
    return dataset_from(dataset.to_json(), _access(_row(file, places) for file in listed))


def describe(dataset: AnyDataset, listed: Iterable[SourceFile], places: Mapping[str, Path]) -> str:
    """Return what :func:`read` makes the same dataset of; parameters as for :func:`over`."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "id": dataset.id,
            "definition": dataset.to_json(),
            "files": [_row(file, places) for file in listed],
        }
    )


def read(path: str) -> AnyDataset:
    """Return the dataset that a file describes.

    :raises DataError: when it cannot be read, or was written by a newer Refrain.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        if document["schema"] > SCHEMA:
            raise DataError(
                f"The dataset input {path!r} has schema {document['schema']}, the Refrain of this interpreter reads up "
                f"to {SCHEMA}. Install the version of the engine in the step's environment."
            )
        return dataset_from(document["definition"], _access(document["files"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"The dataset input {path!r} cannot be read: {error!r}. Run the step again.") from error


def by_id(dataset_id: str) -> AnyDataset | None:
    """Return the input of the step that this process belongs to with an id; None when there is none."""
    try:
        context = json.loads(Path(os.environ.get(RUN_FOLDER, ""), "context.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    inputs = (read(path) for path in context.get("datasets", {}).values())
    return next((dataset for dataset in inputs if dataset.id == dataset_id), None)


def _row(file: SourceFile, places: Mapping[str, Path]) -> list[Any]:
    return [file.name, file.address, file.size, str(places.get(file.path, ""))]


def _access(rows: Iterable[list[Any]]) -> ListedFiles:
    stores = stores_without_workspace()
    # A file without a local place is not chosen; it is listed because others are chosen by their number.
    return ListedFiles(
        tuple(SourceFile(name, address, size, stores.local(path or address)) for name, address, size, path in rows)
    )
