"""Lineage: which datasets a step read and wrote, as its run's record keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from refrain.data.handle import DataHandle
from refrain.data.ports import FromFiles, OutputPort
from refrain.data.recipe import placed
from refrain.data.registered import files_definition
from refrain.execution.inputs import ResolvedInput
from refrain.steps.definition import StepDefinition
from refrain.storage.datastores import DatastoreLocation
from refrain.storage.stores import Stores


class Holders:
    """The datastores in which data may be, as they are when the first of a run's steps asks: who asks, asks often."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    @cached_property
    def locations(self) -> list[DatastoreLocation]:
        """Every datastore that keeps files."""
        return self.stores.locations()


def lineage(
    step: StepDefinition, inputs: Iterable[ResolvedInput], outputs: Mapping[str, DataHandle], among: Holders
) -> dict[str, Any]:
    """Return what a step read and wrote. A plain output is the dataset of its files; a plain input is none."""
    return {
        "read": _read(inputs, among),
        "wrote": {port.name: dataset_written(port, outputs[port.name], among) for port in step.outputs},
    }


def dataset_written(port: OutputPort, handle: DataHandle, among: Holders) -> dict[str, Any]:
    """Return the definition of the dataset that an output is; of one that was linked, that of what was linked.

    :raises DataError: when what was linked cannot be read.
    """
    if port.kind.linked:
        with among.stores.at(handle.uri).open() as file:
            return dict(json.load(file))
    return _placed(port.recipe, handle, among)


def _read(inputs: Iterable[ResolvedInput], among: Holders) -> dict[str, Any]:
    datasets = (item for item in inputs if item.port.is_dataset)
    return {i.port.name: {"mode": i.port.mode.value, "dataset": _definition(i, among)} for i in datasets}


def _definition(item: ResolvedInput, among: Holders) -> dict[str, Any]:
    if item.made is not None:
        return item.made.dataset.to_json()
    source = item.port.source
    if not isinstance(source, FromFiles):
        return _placed("", item.handle, among)
    from refrain.data.files.dataset import FileDataset

    return FileDataset(source).to_json()


def _placed(recipe: str, handle: DataHandle, among: Holders) -> dict[str, Any]:
    place = among.stores.at(handle.uri)
    store, path = among.stores.datastore_of(place, among.locations) or ("", handle.location)
    return placed(recipe, [(store, path)]) if recipe else files_definition(store, path)
