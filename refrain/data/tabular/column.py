"""Column: a column's values, which already have a type, made to fit the one that the dataset has for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from refrain.data.tabular.access import SourceFile
from refrain.data.tabular.chunk import Misfits
from refrain.data.tabular.conversion import convert
from refrain.data.tabular.types import DataType
from refrain.errors import DataError


@dataclass(frozen=True)
class Column:
    """A column of a dataset.

    :param target: its Arrow type.
    :param kind: what the user chose for it; None for what the data says.
    """

    name: str
    target: Any
    kind: DataType | None

    def fitted(self, values: Any, file: SourceFile, row: int, misfits: Misfits) -> Any:
        """Return Arrow values as the column's type; texts are read by the rules of delimited files.

        :param row: the number of the first value in the file.
        :raises DataError: for values that cannot be converted.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_dictionary(values.type):
            values = pc.cast(values, values.type.value_type)
        if values.type == self.target:
            return values
        if self.kind is not None and (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            values = pc.cast(values, pa.string()).combine_chunks()
            converted, mask = convert(values, self.kind)
            if mask is not None:
                first = mask.index(True).as_py()
                misfits.add(file, self.name, self.kind, row + first, values[first].as_py(), mask.true_count)
            return converted
        try:
            return pc.cast(values, self.target)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f"{file.address!r}, column {self.name!r} is {values.type}, but {self.target} in the dataset: {error}. "
                "Write the files with one type, or decide it with "
                f"set_column_types={{{self.name!r}: DataType.to_string()}}."
            ) from error
