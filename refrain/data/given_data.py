"""Given data: what a run gives a parameter that names data: an object, a text that people type, or a JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from refrain.data.data_value import DataKind, DataValue, data_value
from refrain.data.dataset import Dataset
from refrain.data.definition import AnyDataset, dataset_from
from refrain.data.ports import FromDatastore, FromFiles
from refrain.errors import DataError, ParameterClassError, ParameterError, UnknownNameError
from refrain.storage.datastores import normalized

if TYPE_CHECKING:
    from refrain.data.datastore import HasState


def given_data(name: str, default: DataValue, value: Any, workspace: HasState) -> DataValue:
    """Return the data that a run gives the parameter called *name*.

    :raises ParameterClassError: for data of another class than the default's.
    :raises ParameterError: for what names no data.
    :raises UnknownNameError: for a datastore or a dataset that the workspace does not have.
    """
    try:
        found = data_value(value) or _read(value, default.kind, workspace)
        _require_datastores(found, workspace)
    except UnknownNameError as error:
        raise UnknownNameError(f"Pipeline parameter {name!r}: {error}") from error
    except (DataError, KeyError, TypeError, ValueError) as error:
        objects = "{'DataStoreName': …, 'RelativePath': …}" if default.kind is DataKind.PATH else "{'Name': …}"
        raise ParameterError(
            f"Pipeline parameter {name!r} is a {default.kind.value}, and {value!r} names none: give {default.kind.form}"
            f" as text, a {default.kind.value} or {objects}."
        ) from error
    if found.kind is not default.kind:
        raise ParameterClassError(
            f"Pipeline parameter {name!r} is a {default.kind.value} (its default is {default.text!r}), but the run "
            f"gives it the {found.kind.value} {found.text!r}."
        )
    return found


def _read(value: Any, kind: DataKind, workspace: HasState) -> DataValue:
    """Read what is no object of ours; a text may hold a JSON object."""
    document = json.loads(value) if isinstance(value, str) and value.startswith("{") else value
    if kind is DataKind.PATH:
        return _path(document)
    found = data_value(_dataset(document, workspace))
    if found is None:
        raise TypeError(f"{value!r} is no dataset")
    return found


def _path(value: Any) -> DataValue:
    if isinstance(value, Mapping):
        store, path = value["DataStoreName"], value["RelativePath"]
    else:
        store, _, path = str.partition(value, "/")
    source = FromDatastore(store, normalized(path))
    return DataValue(DataKind.PATH, source, source.text)


def _dataset(value: Any, workspace: HasState) -> AnyDataset:
    if isinstance(value, Mapping) and "kind" in value:
        return dataset_from(value)
    if isinstance(value, Mapping):
        return Dataset.get_by_name(workspace, value["Name"], value.get("Version") or "latest")
    name, _, version = str.partition(value, ":")
    return Dataset.get_by_name(workspace, name, version or "latest")


def _require_datastores(value: DataValue, workspace: HasState) -> None:
    locations = value.source.locations if isinstance(value.source, FromFiles) else ((value.source.datastore, ""),)
    for store, _ in locations:
        if store is not None:
            workspace.state.datastores.get(store)
