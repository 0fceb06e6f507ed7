"""RankLogs: the output of a step that runs several processes, taken apart again."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TextIO

_RANK = re.compile(r"\[rank (\d+)\] (.*)", re.DOTALL)


class RankLogs:
    """Writes each rank's lines to ``rank_<N>.txt``. A disk that is full costs these files and not the step."""

    def __init__(self, folder: Path) -> None:
        """Write into *folder*, which is there."""
        self._folder = folder
        self._files: dict[str, TextIO] = {}

    def line(self, line: str) -> None:
        """Take in a line of the whole output; one that is no rank's is left out."""
        found = _RANK.fullmatch(line)
        if found is None:
            return
        number, text = found.groups()
        with contextlib.suppress(OSError):
            if number not in self._files:
                self._files[number] = (self._folder / f"rank_{number}.txt").open("a", encoding="utf-8", buffering=1)
            self._files[number].write(f"{text}\n")

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            with contextlib.suppress(OSError):
                file.close()
