"""Registration: completed outputs as versions of named datasets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refrain.data.handle import DataHandle
from refrain.data.ports import OutputPort, Registration
from refrain.data.registered import DatasetRecord, DatasetVersions, files_definition
from refrain.storage.state import WorkspaceState
from refrain.storage.stores import Stores


def register_outputs(
    ports: tuple[OutputPort, ...], outputs: Mapping[str, DataHandle], run_id: str, state: WorkspaceState
) -> dict[str, dict[str, Any]]:
    """Register every output that asks for it, and return ``{"name", "version"}`` by output name.

    Data that is already the newest version of its name keeps that version, so that a reused step registers nothing.

    :raises UserError: when a dataset's name is invalid.
    """
    registered = {}
    for port in ports:
        if port.registration is not None:
            name = port.registration.name
            record = _record(port.registration, outputs[port.name], run_id, state.stores)
            registered[port.name] = {"name": name, "version": DatasetVersions(state.registry).add(name, record)}
    return registered


def _record(registration: Registration, handle: DataHandle, run_id: str, stores: Stores) -> DatasetRecord:
    place = stores.at(handle.uri)
    definition = files_definition(*(stores.datastore_of(place) or ("", place.path)))
    return DatasetRecord(definition, registration.description, dict(registration.tags), handle, run_id)
