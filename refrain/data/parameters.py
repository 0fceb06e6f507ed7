"""Pipeline parameters: values that a run may set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from refrain.data.data_value import AnyData, DataKind, DataValue, data_value
from refrain.data.ports import TABLE_MODES, InputMode
from refrain.errors import ParameterError, did_you_mean, known
from refrain.values import dataclass

if TYPE_CHECKING:
    from refrain.data.datastore import HasState

Scalar = str | int | float | bool
Value = Scalar | DataValue
Checked = TypeVar("Checked")

TYPES: dict[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
"""The types a parameter may have, with their JSON Schema names."""


@dataclass(frozen=True, init=False)
class PipelineParameter:
    """A named value with a default: a text or a number for ``arguments`` and ``params``, or data for an input.

    Data is a ``DataPath``, which an input takes as ``(parameter, DataPathComputeBinding())``, or a dataset, which it
    takes as ``DatasetConsumptionConfig('name', parameter)``.

    :param affects_reuse: False leaves the value out of the fingerprints of the steps that use it: for settings
        that cannot change a result, such as a log level. Data always counts.
    :raises ParameterError: for an empty name, or a default that is neither a str, int, float or bool nor data.
    """

    name: str
    default_value: Value
    affects_reuse: bool = True

    def __init__(self, name: str, default_value: Scalar | AnyData, affects_reuse: bool = True) -> None:
        if not isinstance(name, str) or not name.strip():
            raise ParameterError(f"A PipelineParameter needs a name, not {name!r}.")
        default = data_value(default_value) or default_value
        if not isinstance(default, DataValue) and type(default) not in TYPES:
            raise ParameterError(
                f"PipelineParameter {name!r}: the default {default!r} is a {type(default).__name__}; a str, int, "
                "float or bool is needed, or a DataPath or a dataset."
            )
        if isinstance(default, DataValue) and not affects_reuse:
            raise ParameterError(f"PipelineParameter {name!r} names data, which always counts: omit affects_reuse.")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "default_value", _finite(name, default))
        object.__setattr__(self, "affects_reuse", affects_reuse)

    @property
    def input_modes(self) -> tuple[InputMode, ...]:
        """How an input may take the data that the parameter names."""
        default = self.default_value
        is_table = isinstance(default, DataValue) and default.kind is DataKind.TABLE
        return TABLE_MODES if is_table else tuple(InputMode)

    @property
    def json_type(self) -> str:
        """The JSON Schema name of the parameter's type, which is its default's; data travels as text."""
        return TYPES.get(type(self.default_value), "string")


def assign(
    parameters: Mapping[str, PipelineParameter], values: Mapping[str, Any], workspace: HasState
) -> dict[str, Value]:
    """Return every parameter's value for one run: the given one, else the default.

    An int is taken where a float is declared; nothing else is converted, so that ``"10"`` and ``10`` stay apart.

    :param workspace: where the datastores and datasets are that values name.
    :raises ParameterError: for an unknown name or a value of another type than the default's.
    :raises UnknownNameError: for a datastore or a dataset that is not there.
    """
    for name in values:
        if name not in parameters:
            raise ParameterError(
                f"Pipeline parameter with name {name!r} does not exist. Known: {known(parameters)}."
                f"{did_you_mean(str(name), parameters)}"
            )
    return {
        name: _checked(p, values[name], workspace) if name in values else p.default_value
        for name, p in parameters.items()
    }


def recorded(values: Mapping[str, Value]) -> dict[str, Scalar]:
    """Return values as records and messages hold them: data as the text that reads back."""
    return {name: value.text if isinstance(value, DataValue) else value for name, value in values.items()}


def _checked(parameter: PipelineParameter, value: Any, workspace: HasState) -> Value:
    default = parameter.default_value
    if isinstance(default, DataValue):
        from refrain.data.given_data import given_data

        return given_data(parameter.name, default, value, workspace)
    wanted = type(default)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) not in TYPES or type(value) is not wanted:
        raise ParameterError(
            f"Pipeline parameter {parameter.name!r} is a {parameter.json_type} (its default is "
            f"{default!r}), but the run gives it the {type(value).__name__} {value!r}."
        )
    return _finite(parameter.name, value)


def _finite(name: str, value: Checked) -> Checked:
    if isinstance(value, float) and not math.isfinite(value):
        raise ParameterError(
            f"Pipeline parameter {name!r} cannot be {value}, which JSON does not have; give it as text."
        )
    return value


def parse(parameter: PipelineParameter, text: str) -> Value:
    """Read a value from a command line: text becomes the type of the parameter's default; that of data is kept.

    :raises ParameterError: when the text is no such value.
    """
    default = parameter.default_value
    if isinstance(default, DataValue):
        return text
    wanted = type(default)
    try:
        if wanted is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        return _finite(parameter.name, wanted(text))
    except ParameterError:
        raise
    except (KeyError, ValueError) as error:
        raise ParameterError(
            f"Pipeline parameter {parameter.name!r} is a {parameter.json_type}, not {text!r}."
        ) from error
