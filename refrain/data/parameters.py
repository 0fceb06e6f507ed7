"""Pipeline parameters: values that a run may set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refrain.errors import ParameterError, did_you_mean, known

Scalar = str | int | float | bool

TYPES: dict[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
"""The types a parameter may have, with their JSON Schema names."""


@dataclass(frozen=True)
class PipelineParameter:
    """A named value with a default, used in a step's ``arguments`` or ``params``.

    :param affects_reuse: False leaves the value out of the fingerprints of the steps that use it: for settings
        that cannot change a result, such as a log level.
    :raises ParameterError: for an empty name or a default that is no str, int, float or bool.
    """

    name: str
    default_value: Scalar
    affects_reuse: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ParameterError(f"A PipelineParameter needs a name, not {self.name!r}.")
        if type(self.default_value) not in TYPES:
            raise ParameterError(
                f"PipelineParameter {self.name!r}: the default {self.default_value!r} is a "
                f"{type(self.default_value).__name__}; a str, int, float or bool is needed."
            )
        _finite(self.name, self.default_value)

    @property
    def json_type(self) -> str:
        """The JSON Schema name of the parameter's type, which is its default's."""
        return TYPES[type(self.default_value)]


def assign(parameters: Mapping[str, PipelineParameter], values: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return every parameter's value for one run: the given one, else the default.

    An int is taken where a float is declared; nothing else is converted, so that ``"10"`` and ``10`` stay apart.

    :raises ParameterError: for an unknown name or a value of another type than the default's.
    """
    for name in values:
        if name not in parameters:
            raise ParameterError(
                f"Pipeline parameter with name {name!r} does not exist. Known: {known(parameters)}."
                f"{did_you_mean(str(name), parameters)}"
            )
    return {name: _checked(p, values[name]) if name in values else p.default_value for name, p in parameters.items()}


def _checked(parameter: PipelineParameter, value: Any) -> Scalar:
    wanted = type(parameter.default_value)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) not in TYPES or type(value) is not wanted:
        raise ParameterError(
            f"Pipeline parameter {parameter.name!r} is a {parameter.json_type} (its default is "
            f"{parameter.default_value!r}), but the run gives it the {type(value).__name__} {value!r}."
        )
    return _finite(parameter.name, value)


def _finite(name: str, value: Scalar) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        raise ParameterError(
            f"Pipeline parameter {name!r} cannot be {value}, which JSON does not have; give it as text."
        )
    return value


def parse(parameter: PipelineParameter, text: str) -> Scalar:
    """Read a value from a command line: text becomes the type of the parameter's default.

    :raises ParameterError: when the text is no such value.
    """
    wanted = type(parameter.default_value)
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
