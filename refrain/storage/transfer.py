"""Transfer: copies many files at once, and the ranges of large ones, in bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from refrain.errors import DataError
from refrain.storage.budget import Budget, Turn
from refrain.storage.digest import digest_bytes
from refrain.storage.ledger import NO_LEDGER, Ledger
from refrain.storage.parts import Part, etag_of, md5_of, part, parts_of
from refrain.storage.retry import in_parallel, retried
from refrain.storage.streams import Reading, Writing
from refrain.storage.watch import Meter, Watch

_BYTES_IN_FLIGHT = 64 * 2**20

_Job = Callable[[Turn], None]


@dataclass(frozen=True)
class Item:
    """One file to copy. ``name`` is what the ledger knows it by."""

    name: str
    source: Reading
    target: Writing


@dataclass(frozen=True)
class Arrived:
    """What a file has become.

    :param tag: the target's word for it.
    :param etag: the MD5, or the tag of the parts' MD5s; None where no part was summed.
    :param digest: of the content; None where that went by in parts.
    """

    tag: str
    etag: str | None = None
    digest: str | None = None


def transfer(items: Sequence[Item], watch: Watch | None = None, ledger: Ledger = NO_LEDGER) -> list[Arrived]:
    """Copy every item, and return what became of each; after the first failure nothing more is begun.

    :raises DataError: when one cannot be read or written, changes meanwhile, or arrives as something else.
    :raises TransferCanceledError: when *watch* stopped it.
    """
    watch = watch or Watch()
    meter = Meter(watch, len(items), sum(item.source.size for item in items))
    copies = [_Copy(item, watch, meter, ledger) for item in items]
    try:
        with _BUDGET.turns() as turn:
            in_parallel(lambda job: job(), _jobs(copies, watch, turn))
    except BaseException:
        if not ledger.is_kept:  # nobody could go on from here
            for copy in copies:
                copy.abandon()
        raise
    return [copy.result for copy in copies]


def _jobs(copies: Iterable[_Copy], watch: Watch, turn: Callable[[], Turn]) -> Iterator[Callable[[], None]]:
    """Yield the work of all copies; memory for it is given in the order in which it is drawn."""
    for copy in copies:
        watch.require_wanted()
        for job in copy.jobs():
            yield partial(turn().run, job)


_BUDGET = Budget(_BYTES_IN_FLIGHT)


class _Copy:
    """One file on its way. What has been begun is kept when it fails, if the ledger can tell the next try."""

    def __init__(self, item: Item, watch: Watch, meter: Meter, ledger: Ledger) -> None:
        self._item, self._watch, self._meter, self._ledger = item, watch, meter, ledger
        self._starts = parts_of(item.source.size)
        self._sums: dict[int, str] = {}
        self._left = len(self._starts)
        self._upload: str | None = None
        self._lock = threading.Lock()
        self._result: Arrived | None = None

    @property
    def result(self) -> Arrived:
        """What became of it."""
        if self._result is None:
            raise DataError(f"{self._item.source.name} has not arrived.")
        return self._result

    def jobs(self) -> Iterator[_Job]:
        """Yield the calls that copy it, each by a turn for its memory; those of an ordered target are one."""
        if len(self._starts) == 1:
            yield self._all
        elif self._item.target.is_ordered:
            yield self._one_by_one
        else:
            for index in range(len(self._starts)):
                yield partial(self._carry, index)

    def abandon(self) -> None:
        """Remove what was begun and has not arrived."""
        if self._upload is not None and self._result is None:
            self._item.target.abandon(self._upload)

    def _all(self, turn: Turn) -> None:
        source, target = self._item.source, self._item.target
        with turn.taken(source.size):
            data = self._read(Part(0, 0, source.size))
            md5 = md5_of(data)
            source.require_same(md5)
            arrived = Arrived(target.put(data, md5), md5, digest_bytes(data))
        self._end(arrived)
        self._meter.add(source.size, files=1)

    def _one_by_one(self, turn: Turn) -> None:
        retried(lambda: self._in_one_go(turn))

    def _in_one_go(self, turn: Turn) -> None:
        try:
            for index in range(len(self._starts)):
                self._carry(index, turn)
        except BaseException:
            self.abandon()
            done = sum(part(self._item.source.size, self._starts, index).size for index in self._sums)
            self._upload, self._sums, self._left = None, {}, len(self._starts)
            self._meter.add(-done, is_moved=False)
            raise

    def _carry(self, index: int, turn: Turn) -> None:
        source, target = self._item.source, self._item.target
        at = part(source.size, self._starts, index)
        upload = self._begun()
        is_moved = index not in self._sums
        if is_moved:
            with turn.taken(at.size):
                data = self._read(at)
                md5 = md5_of(data) if target.wants_sums or "-" in source.tag else ""
                target.write(upload, at, data, md5)
            self._ledger.note_part(self._item.name, index, md5)
        with self._lock:
            self._sums[index] = self._sums[index] if not is_moved else md5
            self._left -= 1
            is_last = not self._left
        if is_last:
            self._finish(upload)
        self._meter.add(at.size, is_moved=is_moved, files=int(is_last))

    def _read(self, at: Part) -> bytes:
        self._watch.require_wanted()
        return self._item.source.read(at.start, at.end)

    def _begun(self) -> str:
        item = self._item
        with self._lock:
            if self._upload is None:
                stale = self._ledger.stale(item.name, item.source.tag)
                if stale is not None:
                    item.target.abandon(stale)
                earlier, parts = self._ledger.begun(item.name, item.source.tag)
                self._upload, self._sums = item.target.begin(item.source.size, earlier, parts)
                if self._upload != earlier:
                    self._ledger.note_begun(item.name, item.source.tag, self._upload)
            return self._upload

    def _finish(self, upload: str) -> None:
        sums = [self._sums[index] for index in range(len(self._starts))]
        etag = etag_of(sums) if all(sums) else None
        self._item.source.require_same(etag)
        self._end(Arrived(self._item.target.finish(upload, self._item.source.size, sums), etag))

    def _end(self, arrived: Arrived) -> None:
        self._ledger.note_arrived(self._item.name, self._item.source.tag, arrived.tag, arrived.digest)
        self._result = arrived
