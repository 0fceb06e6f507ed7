"""Operations of a file dataset: which of the listed files are in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refrain.data.files.item import FileItem
from refrain.data.tabular.expression import Expression
from refrain.data.tabular.operations import Filter, Rows, Sample
from refrain.data.tabular.partition import PartitionFormat
from refrain.data.tabular.sampling import salt, share

FileOperation = Filter | Rows | Sample
METADATA = ("Path", "Name", "Extension", "Size")


def chosen(
    items: Sequence[FileItem], operations: Sequence[FileOperation], partition: PartitionFormat | None
) -> list[FileItem]:
    """Return the files that are left after all operations."""
    left = list(items)
    for depth, operation in enumerate(operations):
        if isinstance(operation, Rows):
            end = None if operation.take is None else operation.skip + operation.take
            left = left[operation.skip : end]
        elif isinstance(operation, Sample):
            start = salt(operation.seed, depth)
            left = [item for number, item in enumerate(left) if operation.low <= share(number, start) < operation.high]
        else:
            left = _filtered(left, operation.condition, partition)
    return left


def _filtered(items: list[FileItem], condition: Expression, partition: PartitionFormat | None) -> list[FileItem]:
    import pyarrow as pa

    values: dict[str, list[Any]] = {
        "Path": [item.name for item in items],
        "Name": [item.name.rpartition("/")[2] for item in items],
        "Extension": [
            "." + item.name.rpartition(".")[2] if "." in item.name.rpartition("/")[2] else "" for item in items
        ],
        "Size": [item.size for item in items],
    }
    types: dict[str, Any] = {"Path": pa.string(), "Name": pa.string(), "Extension": pa.string(), "Size": pa.int64()}
    for key, kind in (partition.types() if partition else {}).items():
        types[key] = kind.arrow()
        values[key] = [_key(partition, item, key) for item in items]
    table = pa.table({name: pa.array(values[name], types[name]) for name in types})
    keeps = condition.evaluate(table).to_pylist()
    return [item for item, keep in zip(items, keeps, strict=True) if keep]


def _key(partition: PartitionFormat | None, item: FileItem, key: str) -> Any:
    return partition.values(item.address)[key] if partition else None


def described(operations: Sequence[FileOperation]) -> list[Mapping[str, Any]]:
    """Return operations as JSON values."""
    from refrain.data.tabular.operations import to_json

    return [to_json(operation) for operation in operations]
