"""What the storage tests stand on: an index of their own, a clock that can be moved, and a user without privileges."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fakes.processes import race, unprivileged
from refrain.storage.statindex import StatIndex
from refrain.storage.trees import Trees

SECOND = 1_000_000_000
__all__ = ["race", "unprivileged"]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[StatIndex]:
    index = StatIndex(tmp_path / "cache")
    yield index
    index.close()


@pytest.fixture
def trees(index: StatIndex) -> Trees:
    return Trees(index)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Moves the clock so far on that every file is at rest."""
    real = time.time_ns

    def move() -> None:
        monkeypatch.setattr(time, "time_ns", lambda: real() + 10 * SECOND)

    return move
