"""Registration: completed outputs as versions of named datasets."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from refrain.data.handle import DataHandle
from refrain.data.ports import DATASETS, OutputPort, Registration
from refrain.storage.state import WorkspaceState

SCHEMA = 1


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
            document = _document(port.registration, outputs[port.name], run_id)
            registered[port.name] = {"name": name, "version": _version(name, document, state)}
    return registered


def _version(name: str, document: Mapping[str, Any], state: WorkspaceState) -> int:
    newest = state.registry.get(DATASETS, name)
    if newest is not None and all(newest.get(field) == document[field] for field in ("digest", "uri")):
        return state.registry.versions(DATASETS, name)[-1]
    return state.registry.add(DATASETS, name, document)


def _document(registration: Registration, handle: DataHandle, run_id: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        **handle.to_json(),
        "description": registration.description,
        "tags": dict(registration.tags),
        "run_id": run_id,
        "created": time.time(),
    }
