"""Explanation of delimited text that cannot be read: the file, the row and the column."""

from __future__ import annotations

import csv
import io
from typing import Any

from refrain.data.tabular.access import SourceFile
from refrain.errors import DataError


def explain(file: SourceFile, encoding: str, separator: str, width: int, error: Exception) -> DataError:
    """Read a file once more, row by row, and return the error that says what is wrong with it."""
    with file.open() as raw:
        found = _undecodable(raw, encoding, separator)
        if found is None:
            raw.seek(0)
            found = _uneven(raw, encoding, separator, width)
    if found is None:
        found = f" cannot be read as delimited text: {error}. Check separator, encoding and quotes."
    return DataError(f"{file.address!r}{found}")


def _undecodable(raw: Any, encoding: str, separator: str) -> str | None:
    if encoding.startswith(("utf-16", "utf-32")):  # a line break is not one byte there
        try:
            for _ in io.TextIOWrapper(io.BufferedReader(_Unclosed(raw)), encoding):
                pass
        except UnicodeError as error:
            return f" is not encoded as {encoding}: {error}. Pass the right encoding."
        return None
    for number, line in enumerate(raw, 1):
        try:
            line.decode(encoding)
        except UnicodeDecodeError as error:
            column = line[: error.start].decode(encoding, "replace").count(separator) + 1
            return (
                f", row {number}, column {column}: the byte 0x{line[error.start]:02x} is not {encoding}. Pass the "
                "file's encoding, such as encoding='windows1252'."
            )
    return None


def _uneven(raw: Any, encoding: str, separator: str, width: int) -> str | None:
    reader = csv.reader(io.TextIOWrapper(io.BufferedReader(_Unclosed(raw)), encoding, newline=""), delimiter=separator)
    begin = 1
    try:
        for row in reader:
            if row and len(row) != width:
                spans = f", row {begin}" if reader.line_num == begin else f", rows {begin} to {reader.line_num}"
                return (
                    f"{spans}: {len(row)} values, but the header has {width}. Complete the row, put values that hold "
                    f"{separator!r} in quotes, or pass the right separator."
                )
            begin = reader.line_num + 1
    except csv.Error:
        return f", row {begin}: the quoted value that begins here is not closed. Correct the quotes."
    return None


class _Unclosed(io.RawIOBase):
    """A file that outlives the text wrapper around it."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
