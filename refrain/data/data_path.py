"""DataPath: a place on a datastore that a run may choose, and how a step gets it."""

from __future__ import annotations

from typing import Any

from refrain.data.data_value import DataKind, DataValue
from refrain.data.names import port_name
from refrain.data.parameters import PipelineParameter
from refrain.data.ports import FromDatastore
from refrain.data.reference import DataReference, NamedDatastore, store_name
from refrain.errors import UserError
from refrain.storage.datastores import normalized
from refrain.values import dataclass

_MODES = ("mount", "download")


@dataclass(frozen=True, eq=False)
class DataPath:
    """A path on a datastore. Nothing need be there when a run starts (Azure ML's rule).

    A step takes it as ``(path, DataPathComputeBinding())``, or as ``(PipelineParameter('p', path), binding)`` where a
    run may name another place; the same pair stands in ``inputs`` and in ``arguments``.

    :param path_on_datastore: None, ``"/"``, ``"."`` and ``"./"`` mean the root.
    :param name: the input's name; None means a name by position that each step gives.
    :raises UserError: for a datastore that is none, an invalid name, or a path with ``..``.
    """

    datastore: NamedDatastore | None = None
    path_on_datastore: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        store_name(self.datastore, "A DataPath")
        object.__setattr__(self, "path_on_datastore", normalized(self.path_on_datastore or ""))
        if self.name is not None:
            port_name(self.name, "a DataPath")

    @property
    def datastore_name(self) -> str:
        """The datastore's name."""
        return store_name(self.datastore, "A DataPath")

    @property
    def source(self) -> FromDatastore:
        """The place, as a step's input records it."""
        return FromDatastore(self.datastore_name, str(self.path_on_datastore))

    def as_value(self) -> DataValue:
        """Return the place as the value of a pipeline parameter."""
        return DataValue(DataKind.PATH, self.source, self.source.text, input_name=self.name)

    def create_data_reference(
        self, data_reference_name: str | None = None, datapath_compute_binding: DataPathComputeBinding | None = None
    ) -> DataReference:
        """Return the place as a reference, to be read as the binding says."""
        binding = datapath_compute_binding or DataPathComputeBinding()
        return binding.create_data_reference(data_reference_name, self)

    @staticmethod
    def create_from_data_reference(data_reference: DataReference) -> DataPath:
        """Return the place of a reference; how it is read is left out."""
        return DataPath(data_reference.datastore, data_reference.path_on_datastore)


@dataclass(frozen=True, eq=False)
class DataPathComputeBinding:
    """How a step gets a data path.

    :param mode: ``mount`` or ``download``.
    :param overwrite: accepted for Azure ML's sake; a step's copy is always its own.
    :raises UserError: for another mode.
    """

    mode: str = "mount"
    path_on_compute: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            raise UserError(
                f"DataPathComputeBinding: mode {self.mode!r} is not one of {', '.join(_MODES)}. To write to a place, "
                "use DataReference.as_upload() as an output."
            )

    def create_data_reference(
        self, data_reference_name: str | None = None, datapath: DataPath | None = None
    ) -> DataReference:
        """Return a place as a reference, to be read as this says.

        :raises UserError: without a place.
        """
        if datapath is None:
            raise UserError("DataPathComputeBinding.create_data_reference needs a datapath.")
        name = data_reference_name or datapath.name
        place = (datapath.datastore, name, datapath.path_on_datastore)
        return DataReference(*place, self.mode, self.path_on_compute, self.overwrite)  # type: ignore[arg-type]  # checked

    @staticmethod
    def create_from_data_reference(data_reference: DataReference) -> DataPathComputeBinding:
        """Return how a reference is read."""
        return DataPathComputeBinding(data_reference.mode, data_reference.path_on_compute, data_reference.overwrite)


@dataclass(frozen=True, eq=False)
class BoundPath:
    """The pair of a data path, or a parameter of which one is the value, and a binding: an input of one step.

    :raises UserError: for a pair of anything else.
    """

    path: DataPath | PipelineParameter
    binding: DataPathComputeBinding
    name: str | None = None

    @classmethod
    def of(cls, pair: tuple[Any, ...]) -> BoundPath:
        """Read the pair that a user wrote.

        :raises UserError: for a pair of other things.
        """
        path, binding = pair
        default = path.default_value if isinstance(path, PipelineParameter) else None
        if isinstance(default, DataValue) and default.kind is DataKind.PATH:
            return cls(path, binding, default.input_name)
        if isinstance(path, DataPath):
            return cls(path, binding, path.name)
        raise UserError(
            f"({path!r}, DataPathComputeBinding) is no input: the first must be a DataPath, or a PipelineParameter "
            "whose default is a DataPath."
        )


def is_pair(item: object) -> bool:
    """Say whether an item is meant as a data path with its binding."""
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], DataPathComputeBinding)
