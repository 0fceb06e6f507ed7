"""Definition: datasets read back from what they were written as, over files that somebody can reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refrain.data.files.dataset import FileDataset
from refrain.data.files.operations import FileOperation
from refrain.data.ports import FromFiles
from refrain.data.tabular.access import ANYWHERE, FileAccess
from refrain.data.tabular.converted import converted
from refrain.data.tabular.dataset import TabularDataset
from refrain.data.tabular.operations import Filter, Rows, Sample, from_json
from refrain.data.tabular.partition import PartitionFormat
from refrain.errors import DataError

AnyDataset = FileDataset | TabularDataset

_SCHEMA = 1


def dataset_from(definition: Mapping[str, Any], access: FileAccess = ANYWHERE) -> AnyDataset:
    """Read a dataset from its definition.

    :param access: finds its files.
    :raises DataError: for a definition of an unknown kind, or of a newer Refrain.
    """
    if definition.get("kind") == "tabular":
        return TabularDataset.from_json(definition, access)
    if definition.get("kind") != "file" or definition.get("schema") != _SCHEMA:
        raise DataError(
            f"This is no dataset of schema {_SCHEMA}: {definition.get('kind')!r}, {definition.get('schema')!r}."
            " Read it with the Refrain that wrote it, or a newer one."
        )
    return _files(definition, access)


def _files(definition: Mapping[str, Any], access: FileAccess) -> FileDataset:
    source, partition = definition["source"], definition["partition_format"]
    if source["origin"] == "converted":
        made = converted(TabularDataset.from_json(source["table"], access), source["kind"], source["separator"])
    else:
        made = FileDataset(FromFiles(tuple((name or None, path) for name, path in source["places"])), access=access)
    operations = tuple(_operation(value) for value in definition["operations"])
    return made.with_choice(operations, PartitionFormat(partition) if partition else None)


def _operation(value: Mapping[str, Any]) -> FileOperation:
    operation = from_json(value)
    if not isinstance(operation, Filter | Rows | Sample):
        raise DataError(f"A file dataset cannot have the operation {value['operation']!r}: files have no columns.")
    return operation
