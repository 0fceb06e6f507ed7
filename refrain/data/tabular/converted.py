"""ConvertedFiles: a table as files of another format, which are written when they are fetched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refrain.data.files.dataset import FileDataset
from refrain.data.files.item import FileItem
from refrain.data.tabular.access import FileAccess, SourceFile
from refrain.data.tabular.dataset import TabularDataset


@dataclass(frozen=True, eq=False)
class ConvertedFiles:
    """The rows of a tabular dataset, as one file for each of its source files, also where none of its rows are left.

    :param kind: ``csv`` or ``parquet``.
    """

    table: TabularDataset
    kind: str
    separator: str = ","

    def items(self, access: FileAccess) -> list[FileItem]:  # noqa: ARG002  # the table has its own
        """Return the files, in the order of the source files."""
        return [ConvertedFile(self, number) for number, _ in enumerate(self.table.source_files())]

    def stored(self, access: FileAccess) -> list[SourceFile]:  # noqa: ARG002  # the table has its own
        """Return the source files of the table."""
        return self.table.source_files()

    def told_of(self, file: SourceFile) -> list[Any]:
        """Return what the rows tell of a source file beside its content."""
        return self.table.told_of(file)

    def to_json(self) -> dict[str, Any]:
        """Return the definition as JSON values."""
        return {"origin": "converted", "kind": self.kind, "separator": self.separator, "table": self.table.to_json()}


@dataclass(frozen=True, eq=False)
class ConvertedFile:
    """One of the files.

    Fetching it evaluates its source file alone, unless an operation counts rows or draws some: then all files before
    it, too.
    """

    origin: ConvertedFiles
    number: int

    @property
    def name(self) -> str:
        """``/``-rooted, relative to the dataset's root."""
        return f"/part-{self.number:05}.{self.origin.kind}"

    @property
    def address(self) -> str:
        """What messages and the ``Path`` column call it."""
        return self.name

    @property
    def size(self) -> int:
        """Not known before it is written: 0."""
        return 0

    def save(self, target: Path) -> None:
        """Write the file to a local path, whose folder exists."""
        schema = self.origin.table.schema
        with _writer(self.origin, target, schema) as writer:
            for table in self._tables():
                writer.write_table(table.cast(schema))

    def _tables(self) -> Iterator[Any]:
        scan = self.origin.table.scan()
        places = {file.path: number for number, file in enumerate(scan.files)}
        scan.only = scan.files[self.number] if scan.is_stateless else None
        for batch in scan.batches():
            if places[batch.file.path] > self.number:
                return
            if places[batch.file.path] == self.number:
                yield batch.table


def _writer(origin: ConvertedFiles, target: Path, schema: Any) -> Any:
    if origin.kind == "csv":
        from pyarrow import csv

        return csv.CSVWriter(
            target, schema, write_options=csv.WriteOptions(delimiter=origin.separator, quoting_style="needed")
        )
    from pyarrow.parquet import ParquetWriter

    return ParquetWriter(target, schema)


def converted(table: TabularDataset, kind: str, separator: str = ",") -> FileDataset:
    """Return the file dataset of a table's rows in another format."""
    return FileDataset(table.reads, access=table.access, origin=ConvertedFiles(table, kind, separator))
