"""Cutter: the process that reads a table and puts down one mini-batch after the other, as they are asked for.

It has the dispatcher's memory and responsiveness spared: Arrow and pandas are loaded here, and not there. Dispatcher to
cutter: ``{"do": "cut", ...}`` once, then ``{"do": "more"}`` for each mini-batch. Cutter to dispatcher::

    {"is": "counted", "about": 12}
    {"is": "piece", "batch": 3, "items": 1000, "table": "/path", ...}    or without a table, and the paths of files
    {"is": "kept", "batch": 3, "count": 7}                               an earlier try has done 3 to 9; nobody asked
    {"is": "note", "text": "…"}                                          a warning about the data
    {"is": "trouble", "error": ...}                                      the data cannot be read
    {"is": "over"}
"""

from __future__ import annotations

import logging
import os
import time
from array import array

from refrain.runtime.parallel.line import Line, begin
from refrain.runtime.parallel.pieces import pieces
from refrain.runtime.parallel.trace import described

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    from refrain.runtime.parallel.frames import Fields, Frame


_SAID_SECONDS = 1.0


class _Notes(logging.Handler):
    """Hands warnings to the dispatcher, in whose log they are seen."""

    def __init__(self, line: Line) -> None:
        super().__init__(logging.WARNING)
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        self._line.say({"is": "note", "text": record.getMessage()})


class _Kept:
    """Says what an earlier try has done: many mini-batches at once, of which there may be millions before one to cut.

    The dispatcher hears of them once a second nevertheless, as a sign of life.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._first = self._count = 0
        self._said = time.monotonic()

    def add(self, batch: int) -> None:
        """Note the next mini-batch."""
        if not self._count:
            self._first = batch
        self._count += 1
        if time.monotonic() - self._said > _SAID_SECONDS:
            self.say()

    def say(self) -> None:
        """Say what was noted."""
        if self._count:
            self._line.say({"is": "kept", "batch": self._first, "count": self._count})
        self._count, self._said = 0, time.monotonic()


def main() -> None:
    """Cut until everything is cut, or the dispatcher is gone."""
    line, messages, order = begin()
    logging.getLogger().addHandler(_Notes(line))
    try:
        _cut(line, messages, order)
    except Exception as error:  # noqa: BLE001  # the dispatcher tells the user
        line.say({"is": "trouble", "error": described(error)})


def _cut(line: Line, messages: Iterator[Frame], order: Fields) -> None:
    made = [pieces().Pieces(path, order["size"], order["keys"]) for path in order["descriptions"]]
    line.say({"is": "counted", "about": sum(one.count() for one in made)})
    done, kept = _done(order["done"]), _Kept(line)
    for batch, piece in enumerate(piece for one in made for piece in one):
        if batch < len(done) and done[batch] == piece.items:
            kept.add(batch)
            continue
        kept.say()
        if next(messages, None) is None:
            return
        put = piece.put(os.path.join(order["folder"], f"{batch}.arrow"))
        line.say({"is": "piece", "batch": batch, "items": piece.items, "title": piece.title, **put}, piece.content)
    kept.say()
    line.say({"is": "over"})


def _done(path: str) -> array[int]:
    done = array("q")
    with open(path, "rb") as file:
        done.frombytes(file.read())
    return done


if __name__ == "__main__":
    main()
