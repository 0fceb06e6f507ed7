"""ParquetReader: Parquet files, small ones at once, large ones in batches of rows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from refrain.data.tabular.access import SourceFile
from refrain.data.tabular.chunk import Chunk, Misfits, Piece
from refrain.data.tabular.column import Column
from refrain.data.tabular.source import Source
from refrain.errors import DataError

log = logging.getLogger(__name__)

_SMALL = 16 << 20
_BATCH_ROWS = 64 * 1024


class ParquetReader:
    """Reads Parquet files. The first file's schema decides: later files are cast to it, column by column, by name."""

    def __init__(self, source: Source, files: Sequence[SourceFile]) -> None:
        self._kinds = dict(source.types)
        first = _schema(files[0])
        self._files_types = {field.name: _plain(field.type) for field in first}
        for file in files[1:]:
            empty = [name for name, kind in self._files_types.items() if str(kind) == "null"]
            if not empty:
                break
            schema = _schema(file)
            self._files_types.update((name, _plain(schema.field(name).type)) for name in empty if name in schema.names)

        self._types = {
            name: self._kinds[name].arrow() if name in self._kinds else kind for name, kind in self._files_types.items()
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that the files give."""
        return tuple(self._files_types)

    @property
    def types(self) -> dict[str, Any]:
        """Column name to Arrow type."""
        return self._types

    def pieces(self, file: SourceFile, wanted: tuple[str, ...], misfits: Misfits) -> Iterator[Piece]:
        """Yield the parts of a file in order."""
        if file.size <= _SMALL:
            yield partial(self._whole, file, wanted, misfits)
            return
        row = 1
        with _opened(file) as parquet:
            present = self._present(parquet, file, wanted)
            size = max(1, file.size // max(1, parquet.metadata.num_rows))
            for batch in _batches(parquet, present, by_group=not file.is_local):
                yield partial(self._chunk, file, _table(batch, present), (row, size), wanted, misfits)
                row += batch.num_rows

    def _whole(self, file: SourceFile, wanted: tuple[str, ...], misfits: Misfits) -> Chunk:
        with _opened(file) as parquet:
            present = self._present(parquet, file, wanted)
            table = parquet.read(columns=present, use_threads=False)
            size = max(1, file.size // max(1, parquet.metadata.num_rows))
            if not present:  # the number of rows is all that is wanted of it
                import pyarrow as pa

                table = pa.table({"": pa.nulls(parquet.metadata.num_rows)})
        return self._chunk(file, table, (1, size), wanted, misfits)

    def _present(self, parquet: Any, file: SourceFile, wanted: tuple[str, ...]) -> list[str]:
        names = parquet.schema_arrow.names
        extra = [name for name in names if name not in self._files_types]
        if extra:
            log.warning("%r has columns that the first file has not, left out: %s.", file.address, ", ".join(extra))
        return [name for name in wanted if name in names]

    def _column(self, name: str) -> Column:
        return Column(name, self.types[name], self._kinds.get(name))

    def _chunk(
        self, file: SourceFile, table: Any, place: tuple[int, int], wanted: tuple[str, ...], misfits: Misfits
    ) -> Chunk:
        import pyarrow as pa

        row, size = place
        arrays = []
        for name in wanted:
            if name in table.column_names:
                arrays.append(self._column(name).fitted(table.column(name), file, row, misfits))
            else:
                arrays.append(pa.nulls(table.num_rows, self.types[name]))
        made = pa.table(arrays, names=list(wanted)) if wanted else table
        return Chunk(made, size * table.num_rows)


def _batches(parquet: Any, columns: list[str], by_group: bool) -> Iterator[Any]:
    """Yield the rows in batches.

    :param by_group: group of rows by group, because all that is asked for at once is fetched ahead.
    """
    groups = [[number] for number in range(parquet.num_row_groups)] if by_group else [None]
    for group in groups:
        yield from parquet.iter_batches(_BATCH_ROWS, row_groups=group, columns=columns)


def _table(batch: Any, present: list[str]) -> Any:
    import pyarrow as pa

    return pa.Table.from_batches([batch]) if present else pa.table({"": pa.nulls(batch.num_rows)})


def _plain(kind: Any) -> Any:
    """The type of the values, however they are stored."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_large_string(kind):
        return pa.string()
    return kind


def _schema(file: SourceFile) -> Any:
    with _opened(file) as parquet:
        return parquet.schema_arrow


def _local(file: SourceFile) -> Any:
    import pyarrow as pa

    try:
        return pa.OSFile(file.path)
    except OSError as error:
        raise DataError(f"Cannot read {file.address!r}: {error}.") from error


@contextmanager
def _opened(file: SourceFile) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    # What is elsewhere is fetched by ranges, those that are near each other at once.
    raw = _local(file) if file.is_local else file.at.open(buffering=0)
    try:
        yield ParquetFile(raw, pre_buffer=not file.is_local)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{file.address!r} is no Parquet file: {str(error).rstrip('.')}. Read it with its own reader, such "
            "as from_delimited_files, or leave it out with a narrower path."
        ) from error
    finally:
        raw.close()
