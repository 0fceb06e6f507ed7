"""DataValue: data as the value of a pipeline parameter, as definitions, records and command lines hold it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable

from refrain.data.ports import FromDatastore, FromFiles


class DataKind(str, Enum):
    """The class of a parameter's data, in Azure ML's words. A run may name other data of the same class only."""

    PATH = "DataPath"
    FILES = "FileDataset"

    @property
    def form(self) -> str:
        """How people write a value of it."""
        return _FORMS[self]


_FORMS = {
    DataKind.PATH: "datastore/path",
    DataKind.FILES: "name or name:version of a registered dataset",
}


@dataclass(frozen=True)
class DataValue:
    """Data by where it is.

    :param source: what takes the place of the parameter in a step's input.
    :param text: how people write it, and what reads back: ``datastore/path`` or ``name:version``.
    :param input_name: what the input is called where the data says so; it never tells values apart.
    """

    kind: DataKind
    source: FromDatastore | FromFiles
    text: str
    input_name: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return self.text


@runtime_checkable
class NamesData(Protocol):
    """An object of the user's that can be a parameter's value."""

    def as_value(self) -> DataValue:
        """Return what it stands for."""
