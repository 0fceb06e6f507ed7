"""DelimitedReader: delimited text, in blocks by Arrow; each column as text first, then by one type for all files."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from refrain.data.tabular.access import SourceFile
from refrain.data.tabular.chunk import Chunk, Misfits, Piece
from refrain.data.tabular.conversion import convert, may_hold
from refrain.data.tabular.feed import stream
from refrain.data.tabular.header import Layout, layout, names_of, numbered
from refrain.data.tabular.inference import infer_columns
from refrain.data.tabular.promotion import PromoteHeadersBehavior
from refrain.data.tabular.ragged import explain
from refrain.data.tabular.source import Delimited, Source, python_encoding
from refrain.data.tabular.types import DataType
from refrain.errors import DataError

log = logging.getLogger(__name__)

_HEAD = 64 * 1024
_BLOCK = 1 << 20  # four times as much costs 150 MB and saves no time
_SAMPLE_FILES = 16
_SAMPLE_ROWS = 1000


class DelimitedReader:
    """Reads delimited files. The types come from the first rows of at most 16 files spread over the list.

    :raises DataError: when no file has a row, or a header cannot be read.
    """

    def __init__(self, source: Source, options: Delimited, files: Sequence[SourceFile]) -> None:
        self._options = options
        self._encoding = python_encoding(self._options.encoding)
        self._numbers = {file.path: number for number, file in enumerate(files)}
        heads = self._heads(files)
        self._columns = self._names(heads)
        self._kinds = {name: DataType.to_string() for name in self._columns}
        if self._options.infer_column_types:
            self._kinds.update(self._inferred(heads, dict(source.types)))
        self._kinds.update((name, kind) for name, kind in source.types if name in self._kinds)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that the files give."""
        return self._columns

    @property
    def types(self) -> dict[str, Any]:
        """Column name to Arrow type."""
        return {name: kind.arrow() for name, kind in self._kinds.items()}

    def pieces(self, file: SourceFile, wanted: tuple[str, ...], misfits: Misfits) -> Iterator[Piece]:
        """Yield the parts of a file in order."""
        import pyarrow as pa

        text = self._head_of(file)
        head = _first_rows(text, self._options.separator, 1)
        if not head:
            return
        rule = self._options.header
        plan = layout(self._columns, head[0], (file.address, self._numbers.get(file.path, 0)), rule)
        if plan.note:
            log.warning("%s", plan.note)
        row_size = max(1, len(text.encode()) // max(1, text.count("\n")))
        row = 2 if plan.skips_first else 1
        try:
            for batch in self._batches(file, plan, wanted):
                yield partial(self._chunk, _Texts(file, plan, batch, row, row_size), wanted, misfits)
                row += batch.num_rows
        except (pa.ArrowInvalid, UnicodeError) as error:
            raise explain(file, self._encoding, self._options.separator, plan.width, error) from error

    def _chunk(self, texts: _Texts, wanted: tuple[str, ...], misfits: Misfits) -> Chunk:
        """Convert one batch of texts to the columns' types."""
        import pyarrow as pa

        count = texts.batch.num_rows
        arrays = [self._column(texts, name, misfits) for name in wanted]
        table = pa.table(arrays, names=list(wanted)) if wanted else pa.table({"": pa.nulls(count)})
        return Chunk(table, count * texts.row_size)

    def _column(self, texts: _Texts, name: str, misfits: Misfits) -> Any:
        import pyarrow as pa

        kind, position = self._kinds[name], texts.plan.positions[name]
        if position is None:
            return pa.nulls(texts.batch.num_rows, kind.arrow())
        values = texts.batch.column(texts.batch.schema.get_field_index(str(position)))
        self._reject_line_breaks(texts, name, values)
        converted, mask = convert(values, kind)
        if mask is not None:
            first = mask.index(True).as_py()
            misfits.add(texts.file, name, kind, texts.row + first, values[first].as_py(), mask.true_count)
        return converted

    def _reject_line_breaks(self, texts: _Texts, name: str, values: Any) -> None:
        """A row that Azure ML would break in silence, with its values in the wrong columns."""
        import pyarrow.compute as pc

        if self._options.support_multi_line or not may_hold(values, b"\n"):
            return
        found = pc.match_substring(values, "\n")
        if pc.any(found).as_py():
            row = texts.row + found.index(True).as_py()
            raise DataError(
                f"{texts.file.address!r}, row {row}, column {name!r}: a quoted value holds a line break. Pass "
                "support_multi_line=True if it is meant, or correct the quotes."
            )

    def _batches(self, file: SourceFile, plan: Layout, wanted: tuple[str, ...]) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.csv as arrow

        positions = [plan.positions[name] for name in wanted]
        names = [str(position) for position in positions if position is not None] or ["0"]
        is_text = self._options.empty_as_string
        read = partial(
            arrow.open_csv,
            read_options=arrow.ReadOptions(
                column_names=[str(number) for number in range(plan.width)],
                skip_rows_after_names=int(plan.skips_first),
                block_size=_BLOCK,
            ),
            # Always: without it a quoted line break is read or not, depending on where a block ends.
            parse_options=arrow.ParseOptions(delimiter=self._options.separator, newlines_in_values=True),
            convert_options=arrow.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=names,
                strings_can_be_null=not is_text,
                null_values=[] if is_text else [""],
            ),
        )
        yield from stream(file, self._encoding, read)

    def _heads(self, files: Sequence[SourceFile]) -> list[list[list[str]]]:
        """The first rows of some files: always the first one's; every file's where all headers count."""
        chosen = list(files)
        if self._options.header is not PromoteHeadersBehavior.COMBINE_ALL_FILES_HEADERS and len(files) > _SAMPLE_FILES:
            chosen = [files[number * (len(files) - 1) // (_SAMPLE_FILES - 1)] for number in range(_SAMPLE_FILES)]
        return [_first_rows(self._head_of(file), self._options.separator, _SAMPLE_ROWS) for file in chosen]

    def _head_of(self, file: SourceFile) -> str:
        with file.open(_HEAD) as raw:
            try:
                return _head(raw, self._encoding)
            except UnicodeError as error:
                raise DataError(f"{file.address!r} is not {self._encoding}: {error}. Pass its encoding.") from error

    def _names(self, heads: list[list[list[str]]]) -> tuple[str, ...]:
        firsts = [rows[0] for rows in heads if rows]
        if not firsts:
            raise DataError("Every file of the dataset is empty, so that it has no columns. Write the data first.")
        if self._options.header is PromoteHeadersBehavior.NO_HEADERS:
            return numbered(len(firsts[0]))
        if self._options.header is PromoteHeadersBehavior.COMBINE_ALL_FILES_HEADERS:
            return tuple(dict.fromkeys(name for first in firsts for name in names_of(first)))
        return names_of(firsts[0])

    def _inferred(self, heads: list[list[list[str]]], decided: dict[str, DataType]) -> dict[str, DataType]:
        rule = self._options.header
        rows: list[list[str | None]] = []
        for number, head in enumerate(rows_ for rows_ in heads if rows_):
            plan = layout(self._columns, head[0], ("", number), rule) if number == 0 else self._sampled(head, number)
            if plan is None:
                continue
            places = [plan.positions[name] for name in self._columns]
            rows += [
                [row[place] if place is not None and place < len(row) else None for place in places]
                for row in head[int(plan.skips_first) :]
            ]
        open_ones = tuple(name for name in self._columns if name not in decided)
        keep = [number for number, name in enumerate(self._columns) if name in open_ones]
        return infer_columns(open_ones, [[row[number] for number in keep] for row in rows])

    def _sampled(self, head: list[list[str]], number: int) -> Layout | None:
        """A file whose columns do not match is reported where it is read, not while types are guessed."""
        try:
            return layout(self._columns, head[0], ("", number), self._options.header)
        except DataError:
            return None


@dataclass(frozen=True)
class _Texts:
    """A batch of texts of a file; ``row`` is the number of its first row."""

    file: SourceFile
    plan: Layout
    batch: Any
    row: int
    row_size: int


def _head(raw: Any, encoding: str) -> str:
    """Return the text of a file's beginning, up to the end of a row."""
    size = _HEAD
    while True:
        raw.seek(0)
        data = raw.read(size)
        text = io.TextIOWrapper(io.BytesIO(data), encoding, errors="replace", newline="").read().removeprefix("\ufeff")
        if len(data) < size:
            return text
        end = text.rfind("\n")
        if end >= 0 and text[: end + 1].count('"') % 2 == 0:
            return text[: end + 1]
        if end >= 0 and text.count("\n") > 1:
            return _without_open_quote(text)
        size *= 4


def _without_open_quote(text: str) -> str:
    """Cut a text after the last line break that is outside of quotes."""
    end, is_open = 0, False
    for number, character in enumerate(text):
        if character == '"':
            is_open = not is_open
        elif character == "\n" and not is_open:
            end = number + 1
    return text[:end]


def _first_rows(text: str, separator: str, count: int) -> list[list[str]]:
    rows: list[list[str]] = []
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
        if row:
            rows.append(row)
        if len(rows) == count:
            break
    return rows
