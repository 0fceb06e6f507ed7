"""Transfer: copies many files at once, and the ranges of large ones, in bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from refrain.errors import DataError
from refrain.storage.digest import digest_bytes
from refrain.storage.ledger import NO_LEDGER, Ledger
from refrain.storage.parts import Part, etag_of, md5_of, part, parts_of
from refrain.storage.retry import in_parallel, retried
from refrain.storage.streams import Reading, Writing
from refrain.storage.watch import Meter, Watch

_BYTES_IN_FLIGHT = 64 * 2**20

_Job = Callable[[], None]


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

    def jobs() -> Iterator[_Job]:
        for copy in copies:
            watch.require_wanted()
            yield from copy.jobs()

    try:
        in_parallel(lambda job: job(), jobs())
    except BaseException:
        if not ledger.is_kept:  # nobody could go on from here
            for copy in copies:
                copy.abandon()
        raise
    return [copy.result for copy in copies]


class _Budget:
    """How many bytes may be in memory at once, in the whole process."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Wait until so many bytes are free; more than there are means all of them."""
        size = min(size, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


_BUDGET = _Budget(_BYTES_IN_FLIGHT)


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
        """Yield the calls that copy it; all but those of an ordered target may run at once."""
        if len(self._starts) == 1:
            yield self._all
        elif self._item.target.is_ordered:
            yield self._one_by_one
        else:
            for index in range(len(self._starts)):
                yield lambda index=index: self._carry(index)  # type: ignore[misc]  # its default binds the number

    def abandon(self) -> None:
        """Remove what was begun and has not arrived."""
        if self._upload is not None and self._result is None:
            self._item.target.abandon(self._upload)

    def _all(self) -> None:
        source, target = self._item.source, self._item.target
        with _BUDGET.taken(source.size):
            data = self._read(Part(0, 0, source.size))
            md5 = md5_of(data)
            source.require_same(md5)
            arrived = Arrived(target.put(data, md5), md5, digest_bytes(data))
        self._end(arrived)
        self._meter.add(source.size, files=1)

    def _one_by_one(self) -> None:
        retried(self._in_one_go)

    def _in_one_go(self) -> None:
        try:
            for index in range(len(self._starts)):
                self._carry(index)
        except BaseException:
            self.abandon()
            done = sum(part(self._item.source.size, self._starts, index).size for index in self._sums)
            self._upload, self._sums, self._left = None, {}, len(self._starts)
            self._meter.add(-done, is_moved=False)
            raise

    def _carry(self, index: int) -> None:
        source, target = self._item.source, self._item.target
        at = part(source.size, self._starts, index)
        upload = self._begun()
        is_moved = index not in self._sums
        if is_moved:
            with _BUDGET.taken(at.size):
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
