"""DataValue: data as the value of a pipeline parameter, as definitions, records and command lines hold it."""

from __future__ import annotations

from dataclasses import field, replace
from enum import Enum
from typing import Protocol, runtime_checkable

from refrain.data.ports import FromDatabase, FromDatastore, FromFiles, InputMode, InputPort
from refrain.values import dataclass


class DataKind(str, Enum):
    """The class of a parameter's data, in Azure ML's words. A run may name other data of the same class only."""

    PATH = "DataPath"
    FILES = "FileDataset"
    TABLE = "TabularDataset"

    @property
    def form(self) -> str:
        """How people write a value of it."""
        return "datastore/path" if self is DataKind.PATH else "name or name:version of a registered dataset"


@dataclass(frozen=True)
class DataValue:
    """Data by where it is.

    :param source: what takes the place of the parameter in a step's input.
    :param text: how people write it, and what reads back: ``datastore/path``, ``name:version``, or, of a dataset that
        is not registered, its definition.
    :param recipe: of a dataset, see :class:`refrain.data.ports.InputPort`; empty for files as they are.
    :param direct_recipe: the same for a script that gets a dataset object.
    :param input_name: what the input is called where the data says so; it never tells values apart.
    """

    kind: DataKind
    source: FromDatastore | FromFiles | FromDatabase
    text: str
    recipe: str = ""
    direct_recipe: str = ""
    input_name: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return self.text

    @property
    def is_named(self) -> bool:
        """Say whether the text is a name that people can read and type, not a whole definition."""
        return not self.text.startswith("{")

    def put_in(self, port: InputPort) -> InputPort:
        """Return the input of a step that takes this data."""
        recipe = self.direct_recipe if port.mode is InputMode.DIRECT else self.recipe
        return replace(port, source=self.source, recipe=recipe)


@runtime_checkable
class NamesData(Protocol):
    """An object of the user's that can be a parameter's value."""

    def as_value(self) -> DataValue:
        """Return what it stands for."""


AnyData = DataValue | NamesData


def data_value(item: object) -> DataValue | None:
    """Return what a parameter holds of the user's data; None for an object that is no data."""
    if isinstance(item, DataValue):
        return item
    if isinstance(item, NamesData):
        return item.as_value()
    return None
