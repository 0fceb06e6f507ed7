"""Chunk: some rows of one file on their way from a reader to a dataset's operations."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from refrain.data.tabular.access import SourceFile
from refrain.data.tabular.types import DataType
from refrain.errors import DataError

log = logging.getLogger(__name__)


class OnError(str, Enum):
    """What becomes of a value that does not fit its column's type."""

    NULL = "null"  # it is empty; one warning per column says how many and which came first
    FAIL = "fail"


@dataclass(frozen=True)
class Chunk:
    """Rows of one file.

    :param table: an Arrow table.
    :param size: roughly how many bytes of the file these rows are.
    """

    table: Any
    size: int


Piece = Callable[[], Chunk]


class Reader(Protocol):
    """Reads the files of one dataset; made anew for every evaluation."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that the files give."""

    @property
    def types(self) -> dict[str, Any]:
        """Column name to Arrow type."""

    def pieces(self, file: SourceFile, wanted: tuple[str, ...], misfits: Misfits) -> Iterator[Piece]:
        """Yield the parts of a file in order; what is left to do for one, several threads may do at a time."""


@dataclass
class Misfits:
    """Keeps count of the values that did not fit their column's type."""

    on_error: OnError = OnError.NULL
    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, file: SourceFile, column: str, kind: DataType, row: int, value: str, count: int) -> None:
        """Note values that did not fit.

        :param row: of the first of them, from 1, with the header counted.
        :raises DataError: when such values are not allowed.
        """
        what = f"{file.address!r}, row {row}, column {column!r}: {value!r} is no {kind.kind.value}"
        if self.on_error is OnError.FAIL:
            raise DataError(
                f"{what}. Correct the value, set_column_types={{{column!r}: DataType.to_string()}}, or read with "
                "on_error='null' to leave such values empty."
            )
        with self._lock:
            self.counts[column] = self.counts.get(column, 0) + count
            self.first.setdefault(column, what)

    def report(self) -> None:
        """Warn once per column."""
        for column, count in self.counts.items():
            log.warning(
                "%d values of column %r do not fit its type and are empty now; one: %s. Read with on_error='fail' to "
                "stop at the first, or set the column's type with set_column_types.",
                count, column, self.first[column],
            )  # fmt: skip
