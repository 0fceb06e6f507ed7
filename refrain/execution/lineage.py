"""Lineage: which datasets a step read and wrote, as its run's record keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from refrain.data.handle import DataHandle
from refrain.data.ports import FromFiles, OutputPort
from refrain.data.recipe import placed
from refrain.data.registered import files_definition
from refrain.execution.inputs import ResolvedInput
from refrain.steps.definition import StepDefinition
from refrain.storage.stores import Stores


def lineage(
    step: StepDefinition, inputs: Iterable[ResolvedInput], outputs: Mapping[str, DataHandle], stores: Stores
) -> dict[str, Any]:
    """Return what a step read and wrote. A plain output is the dataset of its files; a plain input is none."""
    return {
        "read": _read(inputs, stores),
        "wrote": {port.name: dataset_written(port, outputs[port.name], stores) for port in step.outputs},
    }


def dataset_written(port: OutputPort, handle: DataHandle, stores: Stores) -> dict[str, Any]:
    """Return the definition of the dataset that an output is; of one that was linked, that of what was linked.

    :raises DataError: when what was linked cannot be read.
    """
    if port.kind.linked:
        with stores.at(handle.uri).open() as file:
            return dict(json.load(file))
    return _placed(port.recipe, handle, stores)


def _read(inputs: Iterable[ResolvedInput], stores: Stores) -> dict[str, Any]:
    datasets = (item for item in inputs if item.port.is_dataset)
    return {i.port.name: {"mode": i.port.mode.value, "dataset": _definition(i, stores)} for i in datasets}


def _definition(item: ResolvedInput, stores: Stores) -> dict[str, Any]:
    if item.made is not None:
        return item.made.dataset.to_json()
    source = item.port.source
    if not isinstance(source, FromFiles):
        return _placed("", item.handle, stores)
    from refrain.data.files.dataset import FileDataset

    return FileDataset(source).to_json()


def _placed(recipe: str, handle: DataHandle, stores: Stores) -> dict[str, Any]:
    store, path = stores.datastore_of(stores.at(handle.uri)) or ("", handle.location)
    return placed(recipe, [(store, path)]) if recipe else files_definition(store, path)
