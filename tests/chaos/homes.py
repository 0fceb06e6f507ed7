"""Homes: the states in which a fault may meet a workspace, each restored as often as it is needed."""

from __future__ import annotations

import queue
import shutil
from collections.abc import Callable
from pathlib import Path

from chaos import lives
from chaos.lives import Home
from chaos.nursery import answer_of


class Homes:
    """Homes to be used in turn, each put into the same state before it is used."""

    def __init__(self, folder: Path, is_remote: bool, prepare: Callable[[Home], None]) -> None:
        """Prepare two homes; each has a path of its own, which is in what is stored there."""
        self._free: queue.SimpleQueue[tuple[Home, Path]] = queue.SimpleQueue()
        for name in ("a", "b"):
            home, template = Home(folder / name, is_remote), folder / f"{name}-template"
            home.folder.mkdir()
            prepare(home)
            shutil.copytree(home.folder, template, symlinks=True)
            self._free.put((home, template))

    def use(self, act: Callable[[Home], list[str]]) -> list[str]:
        """Do something in a home that is free."""
        home, template = self._free.get()
        try:
            lives.restore(home, template)
            return act(home)
        finally:
            self._free.put((home, template))


def nothing(home: Home) -> None:
    """Nobody has run anything."""


def lived(home: Home) -> None:
    """The pipeline has run."""
    ended = answer_of(lives.live, home, environment=home.environment)
    assert ended.status == "Completed", ended


def robbed(home: Home) -> None:
    """The pipeline has run, and an output of it was deleted."""
    lived(home)
    lives.lose(home)


def outdated(home: Home) -> None:
    """The pipeline has run twice, all that long ago; cleaning has been there once."""
    lived(home)
    answer_of(lives.live, home, None, True, environment=home.environment)
    home.age(8)


def condemned(home: Home) -> None:
    """As outdated, and a grace period has gone by since cleaning was there."""
    outdated(home)
    answer_of(lives.clean, home, environment=home.environment)
    home.age(8)
