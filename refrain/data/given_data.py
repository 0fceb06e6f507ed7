"""Given data: what a run gives a parameter that names data: an object, a text that people type, or a JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from refrain.data.data_value import DataKind, DataValue, NamesData
from refrain.data.ports import FromDatastore
from refrain.errors import ParameterClassError, ParameterError, UnknownNameError
from refrain.storage.datastores import normalized

if TYPE_CHECKING:
    from refrain.data.datastore import HasState

_OBJECTS = {
    DataKind.PATH: "a DataPath or {'DataStoreName': …, 'RelativePath': …}",
}


def given_data(name: str, default: DataValue, value: Any, workspace: HasState) -> DataValue:
    """Return the data that a run gives the parameter called *name*.

    :raises ParameterClassError: for data of another class than the default's.
    :raises ParameterError: for what names no data.
    :raises UnknownNameError: for a datastore that the workspace does not have.
    """
    found = value.as_value() if isinstance(value, NamesData) else value
    if isinstance(found, DataValue):
        if found.kind is not default.kind:
            raise ParameterClassError(
                f"Pipeline parameter {name!r} is a {default.kind.value} (its default is {default.text!r}), but the run "
                f"gives it the {found.kind.value} {found.text!r}."
            )
        return _at_home(name, found, workspace)
    try:
        document = json.loads(found) if isinstance(found, str) and found.startswith("{") else found
        return _at_home(name, _path(document), workspace)
    except (KeyError, TypeError, ValueError) as error:
        raise ParameterError(
            f"Pipeline parameter {name!r} is a {default.kind.value}, and {value!r} names none: give a text such as "
            f"{default.kind.form}, {_OBJECTS[default.kind]}."
        ) from error


def _path(value: Any) -> DataValue:
    if isinstance(value, Mapping):
        store, path = value["DataStoreName"], value["RelativePath"]
    else:
        store, _, path = str.partition(value, "/")
    source = FromDatastore(store, normalized(path))
    return DataValue(DataKind.PATH, source, source.text)


def _at_home(name: str, value: DataValue, workspace: HasState) -> DataValue:
    try:
        if isinstance(value.source, FromDatastore):
            workspace.state.datastores.get(value.source.datastore)
    except UnknownNameError as error:
        raise UnknownNameError(f"Pipeline parameter {name!r}: {error}") from error
    return value
