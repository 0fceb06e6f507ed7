"""Tables: mini-batches that a process of its own cuts, a few ahead of the workers."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from array import array
from collections import deque

from refrain.runtime.parallel.mini_batch import MiniBatch
from refrain.runtime.parallel.peer import Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Deque, Sequence

    from refrain.runtime.parallel.crew import Crew
    from refrain.runtime.parallel.frames import Fields
    from refrain.runtime.parallel.journal import Journal
    from refrain.runtime.parallel.logs import Logs

_CUTTER = "refrain.runtime.parallel.cutter"


class TableSource:
    """The mini-batches of described datasets.

    :param descriptions: the files that describe them.
    :param ahead: how many mini-batches wait, cut, for a worker.
    """

    is_busy = False

    def __init__(
        self, descriptions: Sequence[str], cut: Fields, journal: Journal, crew: Crew, logs: Logs, *, ahead: int
    ) -> None:
        self.total: int | None = None
        self.is_over = False
        self._crew = crew
        self._logs = logs
        self._ready: Deque[MiniBatch | range] = deque()  # a range is of those that an earlier try has done
        self._is_cut = False
        self._folder = tempfile.mkdtemp(prefix=".tables-", dir=os.getcwd())
        done = os.path.join(self._folder, "done")
        self._done = array("q", journal.done_items())
        with open(done, "wb") as file:
            self._done.tofile(file)
        self._peer = _start(logs)
        crew.watch(self._peer.stream)
        order = {"descriptions": list(descriptions), "folder": self._folder, "done": done}
        self._peer.send({"do": "cut", **order, **cut})
        for _ in range(ahead):
            self._peer.send({"do": "more"})

    def next(self) -> MiniBatch | None:
        """Return the next mini-batch that is cut, and have another one cut for it."""
        if not self._ready:
            return None
        task = self._take_first()
        if self._peer.is_open and task.fields:
            self._peer.send({"do": "more"})
        self._settle()
        return task

    def look(self) -> str:
        """Take in what was cut; return what is wrong with the data, or an empty text."""
        if not self._peer.is_open:
            return ""
        trouble = "".join([self._take(fields, content) for fields, content in self._peer.receive()])
        self._peer.flush()
        if not self._peer.is_open:
            self._crew.forget(self._peer.stream)
            self._peer.end()
            if not trouble and not self._is_cut:
                tail = " ".join(self._logs.tail("cutter", "cutter"))
                trouble = f"the process that reads the data is gone: {self._peer.ending or 'unknown'}. {tail}"
        self._settle()
        return trouble

    def close(self) -> None:
        """End the process, and remove what nobody will read."""
        if self._peer.is_open:
            self._crew.forget(self._peer.stream)
            self._peer.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _take_first(self) -> MiniBatch:
        first = self._ready.popleft()
        if isinstance(first, MiniBatch):
            return first
        if len(first) > 1:
            self._ready.appendleft(first[1:])
        return MiniBatch(first[0], self._done[first[0]], {})

    def _settle(self) -> None:
        self.is_over = self._is_cut and not self._ready

    def _take(self, fields: Fields, content: bytes) -> str:
        kind = fields.pop("is")
        if kind == "trouble":
            self._is_cut = True
            self._logs.raised("cutter", "cutter", fields["error"]["text"], fields["error"]["trace"])
            return f"the data cannot be read: {fields['error']['text']}"
        if kind == "counted":
            self.total = fields["about"]
        elif kind == "note":
            self._logs.say(fields["text"])
        elif kind == "over":
            self._is_cut = True
        elif kind == "kept":
            self._ready.append(range(fields["batch"], fields["batch"] + fields["count"]))
        else:
            self._ready.append(_mini_batch(fields, content))
        return ""


def _mini_batch(fields: Fields, content: bytes) -> MiniBatch:
    index, items, title = fields.pop("batch"), fields.pop("items"), fields.pop("title", "")
    return MiniBatch(index, items, fields, content, title)


def _start(logs: Logs) -> Peer:
    stdout, stderr = logs.streams("cutter", "cutter")
    with stdout, stderr:
        return Peer([sys.executable, "-m", _CUTTER], "cutter", stdout, stderr)
