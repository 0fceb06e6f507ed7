"""Scan: the evaluation of a plan, file by file and piece by piece, in order, with a few threads ahead."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from refrain.data.tabular.access import FileAccess, SourceFile, SourceRows
from refrain.data.tabular.chunk import Chunk, Misfits, OnError, Piece, Reader
from refrain.data.tabular.conversion import convert
from refrain.data.tabular.expression import Expression, missing_column
from refrain.data.tabular.operations import DropColumns, Filter, KeepColumns, Operation, Rows, Sample
from refrain.data.tabular.promotion import PromoteHeadersBehavior
from refrain.data.tabular.source import Delimited, Parquet, Source, Sql
from refrain.errors import DataNotFoundError

PATH = "Path"


@dataclass(frozen=True)
class FileBatch:
    """Rows of one file after all operations.

    :param table: an Arrow table.
    """

    file: SourceFile
    table: Any


class Scan:
    """One evaluation of a source with operations.

    :raises DataNotFoundError: when a place matches nothing.
    """

    def __init__(
        self, source: Source, operations: Sequence[Operation], access: FileAccess, on_error: OnError = OnError.NULL
    ) -> None:
        self._source = source
        self._operations = tuple(operations)
        self._misfits = Misfits(on_error)
        self._database = access.database(source.places[0].datastore) if isinstance(source.format, Sql) else None
        if self._database is None:
            self.files = _matching(source, access.files(source.places, with_hidden=False))
        else:
            self.files = [SourceRows("/rows.parquet", f"query on {source.places[0].datastore}", 0)]
        self.only: SourceFile | None = None  # of all files, whose types count, just this one's rows

    @property
    def is_stateless(self) -> bool:
        """Say whether what becomes of a row depends on that row alone."""
        return not any(isinstance(operation, (Rows, Sample)) for operation in self._operations)

    @cached_property
    def needed(self) -> list[SourceFile]:
        """The files that decide the result: those with rows in it, and those whose header counts for others.

        Where conditions on the path leave no file, all of them say which columns there are.
        """
        relevant = list(self._relevant(self.files))
        header = self._source.format.header if isinstance(self._source.format, Delimited) else None
        if not relevant or header is PromoteHeadersBehavior.COMBINE_ALL_FILES_HEADERS:
            return self.files
        if header is PromoteHeadersBehavior.ONLY_FIRST_FILE_HAS_HEADERS and relevant[0] is not self.files[0]:
            return [self.files[0], *relevant]
        return relevant

    @cached_property
    def reader(self) -> Reader:
        """What reads the files; making it looks at some of them."""
        if isinstance(self._source.format, Delimited):
            from refrain.data.tabular.delimited import DelimitedReader

            return DelimitedReader(self._source, self._source.format, self.needed)
        if self._database is not None:
            from refrain.data.sql.reader import SqlReader

            return SqlReader(self._source, self._database)
        if isinstance(self._source.format, Parquet | Sql):  # whose rows somebody has written to a file
            from refrain.data.tabular.parquet import ParquetReader

            return ParquetReader(self._source, self.needed)
        from refrain.data.tabular.json_lines import JsonLinesReader

        return JsonLinesReader(self._source, self._source.format, self.needed)

    @cached_property
    def source_schema(self) -> Any:
        """The Arrow schema before the operations: ``Path``, the files' columns, then those of the partition format."""
        import pyarrow as pa

        keys = self._partition_types()
        fields = [(name, kind) for name, kind in self.reader.types.items() if name not in keys]
        names = {name for name, _ in fields} | set(keys)
        for name, _ in self._source.types:
            if name not in names:
                raise missing_column(name, sorted(names))
        first = [(PATH, pa.string())] if self._source.include_path else []
        return pa.schema([*first, *((n, k) for n, k in fields if not first or n != PATH), *keys.items()])

    @cached_property
    def empty(self) -> Any:
        """The result's columns without rows.

        :raises DataError: when an operation names a column that is not there.
        """
        table = self.source_schema.empty_table()
        for depth, operation in enumerate(self._operations):
            for name in operation.columns if isinstance(operation, DropColumns) else ():
                if name not in table.column_names:
                    raise missing_column(name, table.column_names)
            table = operation.begin(depth).apply(table)
        return table

    def batches(self, max_bytes: int | None = None) -> Iterator[FileBatch]:
        """Yield the rows in batches that never cross files, nor are empty.

        :param max_bytes: roughly how many bytes of a file a batch stands for; a smaller file is one batch. None: as
            they come.
        """
        _ = self.empty
        running = [operation.begin(depth) for depth, operation in enumerate(self._operations)]
        open_file, parts, size = None, [], 0
        for file, chunk in self._cut(max_bytes):
            if open_file is not None and (
                file is not open_file or max_bytes is None or not _fits(file, size + chunk.size, max_bytes)
            ):
                yield from _batch(open_file, parts)
                parts, size = [], 0
            open_file = file
            parts.append(self._through(self._with_path(file, chunk.table), running))
            size += chunk.size
            if any(operation.is_done for operation in running):
                break
        if open_file is not None:
            yield from _batch(open_file, parts)
        self._misfits.report()

    def _cut(self, max_bytes: int | None) -> Iterator[tuple[SourceFile, Chunk]]:
        if any(isinstance(op, Rows) and op.take == 0 for op in self._operations):
            return
        for file, chunk in _in_order(self._pieces()):
            count = chunk.table.num_rows
            if max_bytes is None or file.size <= max_bytes or chunk.size <= max_bytes:
                yield file, chunk
                continue
            step = max(1, count * max_bytes // chunk.size)
            for begin in range(0, count, step):
                rows = chunk.table.slice(begin, step)
                yield file, Chunk(rows, chunk.size * rows.num_rows // count)

    def _pieces(self) -> Iterator[tuple[SourceFile, Piece]]:
        for file in self._relevant(self.files if self.only is None else [self.only]):
            for piece in self.reader.pieces(file, self._wanted, self._misfits):
                yield file, piece

    def _relevant(self, files: Sequence[SourceFile]) -> Iterator[SourceFile]:
        """Leave out files that conditions on the path's columns exclude, as long as no row is counted before."""
        conditions = []
        for operation in self._operations:
            if isinstance(operation, (Rows, Sample)):
                break
            if isinstance(operation, Filter):
                conditions += _conjuncts(operation.condition)
        added = {*self._partition_types(), *([PATH] if self._source.include_path else [])}
        decisive = [condition for condition in conditions if condition.columns() and condition.columns() <= added]
        for file in files:
            row = self._with_path(file, _one_row()) if decisive else None
            if all(condition.evaluate(row)[0].as_py() for condition in decisive):
                yield file

    @cached_property
    def _wanted(self) -> tuple[str, ...]:
        """The columns of the files that the result or a condition needs, in the files' order."""
        needed: set[str] | None = None
        for operation in reversed(self._operations):
            if isinstance(operation, KeepColumns):
                needed = set(operation.columns)
            elif isinstance(operation, DropColumns) and needed is None:
                continue
            elif isinstance(operation, Filter) and needed is not None:
                needed |= operation.condition.columns()
        dropped = self._dropped() if needed is None else set()
        own = [name for name in self.source_schema.names if name in self.reader.types and not self._is_added(name)]
        return tuple(name for name in own if (needed is None or name in needed) and name not in dropped)

    def _dropped(self) -> set[str]:
        """Columns that are dropped before anything asks for them."""
        asked: set[str] = set()
        dropped: set[str] = set()
        for operation in self._operations:
            if isinstance(operation, Filter):
                asked |= operation.condition.columns()
            elif isinstance(operation, DropColumns):
                dropped |= set(operation.columns) - asked
        return dropped

    def _is_added(self, name: str) -> bool:
        return name in self._partition_types() or (name == PATH and self._source.include_path)

    def _partition_types(self) -> dict[str, Any]:
        partition = self._source.partition
        chosen = dict(self._source.types)
        return {key: chosen.get(key, kind).arrow() for key, kind in partition.types().items()} if partition else {}

    def _with_path(self, file: SourceFile, table: Any) -> Any:
        """Add what the path says."""
        import pyarrow as pa

        count = table.num_rows
        if "" in table.column_names:
            table = table.drop_columns([""]) if self._source.include_path or self._source.partition else table
        if self._source.include_path:
            table = table.add_column(0, PATH, pa.repeat(file.address, count))
        for key, value in (self._source.partition.values(file.address) if self._source.partition else {}).items():
            table = table.append_column(key, self._repeated(key, value, count))
        return table

    def _repeated(self, key: str, value: Any, count: int) -> Any:
        import pyarrow as pa

        kind = dict(self._source.types).get(key)
        if kind is None or not isinstance(value, str):
            return pa.repeat(pa.scalar(value, self._partition_types()[key]), count)
        return pa.repeat(convert(pa.array([value]), kind)[0][0], count)

    def _through(self, table: Any, running: Sequence[Any]) -> Any:
        for operation in running:
            table = operation.apply(table)
        return table


def _matching(source: Source, files: list[SourceFile]) -> list[SourceFile]:
    left = [file for file in files if re.search(source.match, file.address)] if source.match else files
    if not left:
        raise DataNotFoundError(
            f"None of {len(files)} files matches {source.match!r}, the first is {files[0].address!r}. Correct the "
            "pattern."
        )
    return left


def _fits(file: SourceFile, size: int, max_bytes: int) -> bool:
    return file.size <= max_bytes or size <= max_bytes


def _batch(file: SourceFile, parts: list[Any]) -> Iterator[FileBatch]:
    import pyarrow as pa

    table = parts[0] if len(parts) == 1 else pa.concat_tables(parts)
    if table.num_rows:
        yield FileBatch(file, table)


def _conjuncts(condition: Expression) -> list[Expression]:
    if condition.operator == "and":
        return [part for side in condition.parts for part in _conjuncts(side)]
    return [condition]


def _one_row() -> Any:
    import pyarrow as pa

    return pa.table({"": pa.nulls(1)})


def _in_order(pieces: Iterator[tuple[SourceFile, Piece]]) -> Iterator[tuple[SourceFile, Chunk]]:
    """Finish pieces with a few threads and hand them out in their order; an error comes in its place too."""
    workers = min(os.cpu_count() or 1, 8)
    ahead: deque[tuple[SourceFile | None, Future[Chunk]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="refrain-scan") as pool:
        try:
            is_open = True
            while is_open or ahead:
                while is_open and len(ahead) <= workers:
                    is_open = _send_next(pieces, pool, ahead)
                if ahead:
                    file, future = ahead.popleft()
                    chunk = future.result()
                    if file is not None:
                        yield file, chunk
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _send_next(
    pieces: Iterator[tuple[SourceFile, Piece]],
    pool: ThreadPoolExecutor,
    ahead: deque[tuple[SourceFile | None, Future[Chunk]]],
) -> bool:
    try:
        file, piece = next(pieces)
    except StopIteration:
        return False
    except Exception as error:  # noqa: BLE001  # raised where its piece would have come
        failed: Future[Chunk] = Future()
        failed.set_exception(error)
        ahead.append((None, failed))
        return False
    ahead.append((file, pool.submit(piece)))
    return True
