"""MiniBatch: some items that one call of run() gets."""

from __future__ import annotations

import os
from contextlib import suppress

from refrain.runtime.parallel.pieces import pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from refrain.runtime.parallel.frames import Fields

    class Source(Protocol):
        """Where mini-batches come from, in their order. ``is_over`` once the last of them has been given out.

        As long as it ``is_busy``, :meth:`look` goes on with what has to be done before the first.
        """

        is_over: bool
        is_busy: bool
        total: int | None  # as far as it is known before

        def next(self) -> MiniBatch | None:
            """Return the next mini-batch; None when there is none, or none yet."""

        def look(self) -> str:
            """Take in what has come; return what is wrong with the source, or an empty text."""

        def close(self) -> None:
            """End what makes the mini-batches."""


_NAMED = 5


class MiniBatch:
    """A mini-batch as the dispatcher knows it.

    :param index: its number, from 0; the same whenever the same data is cut in the same way.
    :param items: how many files or rows it has.
    :param fields: what makes the data, see :func:`data_of`.
    :param content: the paths of its files, if it is one of files; see :func:`paths_of`.
    :param title: what people call it.
    """

    __slots__ = ("content", "fields", "index", "items", "title")

    def __init__(self, index: int, items: int, fields: Fields, content: bytes = b"", title: str = "") -> None:
        self.index = index
        self.items = items
        self.fields = fields
        self.content = content
        self.title = title

    def __str__(self) -> str:
        """Name it, and what is in it."""
        files = paths_of(self.content) or []
        more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
        what = self.title or ", ".join(files[:_NAMED]) + more
        return f"mini-batch {self.index}" + (f" ({what})" if what else "")

    def release(self) -> None:
        """Remove what was put down for it."""
        table = self.fields.get("table")
        if table is not None:
            with suppress(FileNotFoundError):
                os.unlink(table)


def paths_of(content: bytes) -> list[str] | None:
    """Return the paths that are in *content*, with the one byte between them that no path has; None if there are none.

    Making a text of them for each frame, and paths of that, would take a twentieth of the time of quick mini-batches.
    """
    return os.fsdecode(content).split("\0") if content else None


def data_of(task: Fields, content: bytes) -> Any:
    """Return what run() gets: paths of files, or a data frame. Without data, run() gets no items."""
    if "table" in task:
        return pieces().frame_of(task["table"])
    return paths_of(content) or []


def rows_of_dataset(task: Fields) -> str:
    """Return a new path for the rows of a mini-batch's dataset; an empty one if it has no table.

    It is beside the table, in a folder that goes when the work ends, since a process that is killed removes nothing;
    one on a machine that seems to be lost may still write there when another one has the mini-batch.
    """
    return f"{task['table']}-{os.urandom(8).hex()}.parquet" if "table" in task else ""


def keys_of(task: Fields) -> dict[str, Any]:
    """Return the values of the partition keys by name: texts, and dates."""
    return {name: _date(text) if is_date else text for name, text, is_date in task.get("keys", ())}


def _date(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text)
