"""JsonLinesReader: one JSON object a line, each a row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from refrain.data.tabular.access import SourceFile
from refrain.data.tabular.chunk import Chunk, Misfits, Piece
from refrain.data.tabular.conversion import convert
from refrain.data.tabular.source import JsonLines, Source, python_encoding
from refrain.data.tabular.types import DataType, Kind
from refrain.errors import DataError

_BLOCK = 1 << 20
_SAMPLE_FILES = 16
_SAMPLE_ROWS = 1000
_KINDS: dict[type, DataType] = {
    bool: DataType.to_bool(),
    int: DataType.to_long(),
    float: DataType.to_float(),
}


class JsonLinesReader:
    """Reads JSON lines. Columns are the keys of a sample, in their order; objects and lists in a row stay JSON text."""

    def __init__(self, source: Source, options: JsonLines, files: Sequence[SourceFile]) -> None:
        self._options = options
        self._encoding = python_encoding(self._options.encoding)
        seen: dict[str, set[type]] = {}
        step = max(1, (len(files) - 1) // (_SAMPLE_FILES - 1))
        for file in files[::step]:
            for row in self._sample(file):
                for key, value in row.items():
                    seen.setdefault(key, set()).add(type(value))
        if not seen:
            raise DataError(
                "No file of the dataset holds a JSON object, so that it has no columns. Write the data first."
            )
        self._kinds = {key: _kind(found) for key, found in seen.items()}
        self._kinds.update((name, kind) for name, kind in source.types if name in self._kinds)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that the files give."""
        return tuple(self._kinds)

    @property
    def types(self) -> dict[str, Any]:
        """Column name to Arrow type."""
        return {name: kind.arrow() for name, kind in self._kinds.items()}

    def pieces(self, file: SourceFile, wanted: tuple[str, ...], misfits: Misfits) -> Iterator[Piece]:
        """Yield the parts of a file in order."""
        row = 1
        for lines in self._blocks(file):
            yield partial(self._chunk, file, (lines, row), wanted, misfits)
            row += len(lines)

    def _chunk(
        self, file: SourceFile, part: tuple[list[bytes], int], wanted: tuple[str, ...], misfits: Misfits
    ) -> Chunk:
        import pyarrow as pa

        lines, row = part
        numbered = [
            (row + number, found) for number, line in enumerate(lines) if (found := self._row(file, line, row + number))
        ]
        arrays = [self._column(file, name, numbered, misfits) for name in wanted]
        table = pa.table(arrays, names=list(wanted)) if wanted else pa.table({"": pa.nulls(len(numbered))})
        return Chunk(table, sum(map(len, lines)))

    def _column(self, file: SourceFile, name: str, rows: list[tuple[int, dict[str, Any]]], misfits: Misfits) -> Any:
        import pyarrow as pa

        kind = self._kinds[name]
        values = [row.get(name) for _, row in rows]
        if kind.kind in {Kind.LONG, Kind.FLOAT, Kind.BOOL}:
            try:
                if all(type(value) in _ACCEPTED[kind.kind] for value in values):
                    return pa.array(values, kind.arrow())
            except (pa.ArrowInvalid, OverflowError):
                pass
        texts = pa.array([_text(value) for value in values], pa.string())
        converted, mask = convert(texts, kind)
        if mask is not None:
            first = mask.index(True).as_py()
            misfits.add(file, name, kind, rows[first][0], texts[first].as_py(), mask.true_count)
        return converted

    def _row(self, file: SourceFile, line: bytes, number: int) -> dict[str, Any] | None:
        """Return the object of a line; None for an empty line, and for an invalid one that is to be dropped."""
        try:
            text = line.decode(self._encoding).strip()
            row = json.loads(text) if text else None
            if row is None and not text:
                return None
            if not isinstance(row, dict):
                raise ValueError(f"a {type(row).__name__} instead of an object")
        except ValueError as error:
            if self._options.drops_invalid:
                return None
            raise DataError(
                f"{file.address!r}, row {number} is no JSON object: {error}. Correct the line, or pass "
                "invalid_lines='drop' to leave such lines out."
            ) from error
        return row

    def _sample(self, file: SourceFile) -> list[dict[str, Any]]:
        lines = next(iter(self._blocks(file, 1 << 18)), [])[:_SAMPLE_ROWS]
        return [found for number, line in enumerate(lines, 1) if (found := self._row(file, line, number))]

    def _blocks(self, file: SourceFile, size: int = _BLOCK) -> Iterator[list[bytes]]:
        with file.open() as raw:
            source = raw if not self._encoding.startswith(("utf-16", "utf-32")) else _Recoded(raw, self._encoding)
            if isinstance(source, _Recoded):
                yield source.lines
                return
            while lines := source.readlines(size):
                lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
                yield lines


class _Recoded:
    """The lines of a text whose line breaks are longer than a byte."""

    def __init__(self, raw: Any, encoding: str) -> None:
        self.lines = [line.encode(encoding) for line in raw.read().decode(encoding).splitlines()]


_ACCEPTED: dict[Kind, tuple[type, ...]] = {
    Kind.LONG: (int, type(None)),
    Kind.FLOAT: (int, float, type(None)),
    Kind.BOOL: (bool, type(None)),
}


def _kind(found: set[type]) -> DataType:
    kinds = found - {type(None)}
    if kinds == {int, float}:
        return DataType.to_float()
    return _KINDS.get(next(iter(kinds)), DataType.to_string()) if len(kinds) == 1 else DataType.to_string()


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
