"""Links: outputs that hold no data, but the definition of the dataset that the script linked."""

from __future__ import annotations

import json
from pathlib import Path

from refrain.data.data_value import DataValue, data_value
from refrain.data.definition import dataset_from
from refrain.data.handle import DataHandle
from refrain.data.ports import FromFiles, InputPort, OutputPort
from refrain.errors import DataError, InputChangedError, OutputError, RefrainError
from refrain.storage.state import WorkspaceState


def require_linked(path: Path, port: OutputPort, state: WorkspaceState, step_name: str) -> None:
    """Check what a script left for an output that is linked.

    :raises OutputError: when it linked nothing, or a dataset that others will not find.
    """
    what = f"Step {step_name!r}: its output {port.name!r}"
    if not path.exists():
        raise OutputError(
            f"Step {step_name!r} ended well, but nothing was linked to its output {port.name!r}. The script does so "
            f"with Run.get_context().output_datasets[{port.name!r}].link(dataset)."
        )
    try:
        value = data_value(dataset_from(json.loads(path.read_text(encoding="utf-8"))))
    except (DataError, KeyError, TypeError, ValueError):
        value = None
    if value is None or not isinstance(value.source, FromFiles):
        raise OutputError(f"{what} at {str(path)!r} is no definition of a dataset; only link(dataset) writes there.")
    for store, place in value.source.locations:
        _require_lasting(what, store, place, state)


def linked_data(handle: DataHandle, port: InputPort, state: WorkspaceState, step_name: str) -> DataValue:
    """Return the data that an earlier step linked.

    :raises InputChangedError: when what it left is no longer that.
    """
    place = state.stores.at(handle.uri)
    try:
        is_same = place.identify().digest == handle.digest
        with place.open() as file:
            value = data_value(dataset_from(json.load(file))) if is_same else None
    except (DataError, ValueError):
        value = None
    if value is None:
        raise InputChangedError(
            f"Step {step_name!r}: its input {port.name!r} at {place} is no longer what an earlier step linked: it was "
            "changed or deleted since. Run the whole pipeline again (on Airflow, clear that step)."
        )
    return value


def _require_lasting(what: str, store: str | None, place: str, state: WorkspaceState) -> None:
    if store:
        try:
            state.datastores.get(store)
        except RefrainError as error:
            raise OutputError(f"{what} links {place!r} on a datastore of another workspace: {error}") from error
    temporary = (state.root / "staging", state.stores.cache.mounts(""))
    if not store and any(Path(place).is_relative_to(folder) for folder in temporary):
        raise OutputError(
            f"{what} links {place!r}, which goes when the step ends. Link data on a datastore, or write a copy to an "
            "OutputFileDatasetConfig."
        )
