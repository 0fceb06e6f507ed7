"""Registration: completed outputs as versions of named datasets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refrain.data.handle import DataHandle
from refrain.data.ports import OutputPort, Registration
from refrain.data.registered import DatasetRecord, DatasetVersions
from refrain.errors import UserError
from refrain.execution.lineage import Holders, dataset_written
from refrain.steps.definition import StepDefinition
from refrain.storage.state import WorkspaceState
from refrain.storage.stores import Stores


def require_registrable(step: StepDefinition, state: WorkspaceState) -> None:
    """Refuse, before a step starts, an output whose name is taken and which is to be no new version of it.

    :raises UserError: when there is one.
    """
    versions = DatasetVersions(state.registry)
    for port in step.outputs:
        wanted = port.registration
        if wanted is not None and not wanted.create_new_version and versions.newest(wanted.name):
            raise UserError(
                f"Step {step.name!r}: its output {port.name!r} is to be registered as {wanted.name!r}, of which there "
                f"is version {versions.newest(wanted.name)} already. Pass create_new_version=True, or another name."
            )


def register_outputs(
    ports: tuple[OutputPort, ...], outputs: Mapping[str, DataHandle], run_id: str, state: WorkspaceState
) -> dict[str, dict[str, Any]]:
    """Register every output that asks for it, and return ``{"name", "version"}`` by output name.

    Data that is already the newest version of its name keeps that version, so that a reused step registers nothing.

    :raises UserError: when a dataset's name is invalid, or taken by another where no new version is wanted.
    """
    registered = {}
    versions = DatasetVersions(state.registry)
    for port in ports:
        wanted = port.registration
        if wanted is not None:
            record = _record(wanted, port, outputs[port.name], run_id, state.stores)
            version = versions.add(wanted.name, record, wanted.create_new_version)
            registered[port.name] = {"name": wanted.name, "version": version}
    return registered


def _record(
    registration: Registration, port: OutputPort, handle: DataHandle, run_id: str, stores: Stores
) -> DatasetRecord:
    definition = dataset_written(port, handle, Holders(stores))
    content = None if port.kind.linked else handle  # of a link, the data is elsewhere
    return DatasetRecord(definition, registration.description, dict(registration.tags), content, run_id)
