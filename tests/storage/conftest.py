"""What the storage tests stand on: an index of their own, a clock that can be moved, and a user without privileges."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fakes.race import race
from refrain.storage.statindex import StatIndex
from refrain.storage.trees import Trees

__all__ = ["race"]

SECOND = 1_000_000_000
NOBODY = 65534


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


@pytest.fixture
def unprivileged() -> Iterator[Callable[[], contextlib.AbstractContextManager[Path]]]:
    """Gives a folder, and a block in which the process may do no more than its owner may."""
    folder = Path(tempfile.mkdtemp(prefix="refrain-unprivileged-"))
    user = NOBODY if os.geteuid() == 0 else os.geteuid()
    os.chown(folder, user, -1)

    @contextlib.contextmanager
    def block() -> Iterator[Path]:
        before = os.geteuid()
        os.seteuid(user)
        try:
            yield folder
        finally:
            os.seteuid(before)

    yield block
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o700)
    shutil.rmtree(folder)
