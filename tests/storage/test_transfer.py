"""The engine of copies with stores that have ways of their own."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from refrain.errors import DataError, TransferCanceledError
from refrain.storage import parts, transfer
from refrain.storage.budget import Budget
from refrain.storage.parts import Part
from refrain.storage.transfer import Item
from refrain.storage.watch import Watch

PARTS, PART = 60, 100


@dataclass
class _Bytes:
    """A source in memory."""

    content: bytes
    name: str = "memory"
    tag: str = "tag"

    @property
    def size(self) -> int:
        return len(self.content)

    def read(self, start: int, end: int) -> bytes:
        return self.content[start:end]

    def require_same(self, etag: str | None) -> None:
        pass


@dataclass
class _InOrder:
    """A store that answers for a part only once it has all earlier ones, as rclone's server does."""

    name: str = "in order"
    is_ordered: bool = False
    wants_sums: bool = True
    there: dict[int, bytes] = field(default_factory=dict)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def put(self, data: bytes, md5: str) -> str:
        self.there[0] = data
        return md5

    def begin(self, size: int, upload: str | None, parts: Mapping[int, str]) -> tuple[str, dict[int, str]]:
        return "upload", {}

    def write(self, upload: str, part: Part, data: bytes, md5: str) -> None:
        time.sleep(part.index % 3 / 1000)
        with self.arrived:
            self.there[part.index] = data
            self.arrived.notify_all()
            if not self.arrived.wait_for(lambda: all(index in self.there for index in range(part.index)), 10):
                raise DataError(f"Part {part.index} waited in vain for an earlier one.")

    def finish(self, upload: str, size: int, sums: Sequence[str]) -> str:
        return "done"

    def abandon(self, upload: str) -> None:
        self.there.clear()

    @property
    def content(self) -> bytes:
        return b"".join(self.there[index] for index in sorted(self.there))


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small parts, of which four fit in memory, and sixteen hands for them."""
    monkeypatch.setattr(parts, "PART_BYTES", PART)
    monkeypatch.setattr(transfer, "_BUDGET", Budget(4 * PART))


def test_parts_get_memory_in_their_order_so_that_none_waits_for_one_that_cannot_be_sent():
    content = random.Random(1).randbytes(PARTS * PART)
    for _ in range(20):
        target = _InOrder()
        transfer.transfer([Item("one", _Bytes(content), target)])
        assert target.content == content


def test_files_of_all_sizes_share_the_memory():
    contents = [random.Random(number).randbytes(size) for number, size in enumerate([1, 99, 950, 0, 100, 400, 6000])]
    targets = [_InOrder(is_ordered=number % 3 == 2) for number in range(len(contents))]
    transfer.transfer([Item(str(n), _Bytes(c), t) for n, (c, t) in enumerate(zip(contents, targets, strict=True))])
    assert [target.content for target in targets] == contents


def test_a_copy_that_is_stopped_leaves_the_memory_to_others():
    content = random.Random(2).randbytes(PARTS * PART)
    watch = Watch()

    class Stopping(_InOrder):
        def write(self, upload: str, part: Part, data: bytes, md5: str) -> None:
            if part.index == PARTS // 2:
                watch.canceled.set()
            super().write(upload, part, data, md5)

    with pytest.raises(TransferCanceledError):
        transfer.transfer([Item(str(number), _Bytes(content), Stopping()) for number in range(3)], watch)
    target = _InOrder()
    transfer.transfer([Item("next", _Bytes(content), target)])
    assert target.content == content
