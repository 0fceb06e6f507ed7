"""Starts: how often worker processes have not come to their first mini-batch, on each node."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Tuple

    from refrain.runtime.parallel.places import Place

_TRIES = 3  # for each process, one after the other, without one that is ready


class Starts:
    """Failed starts. Where too many follow each other, a node gets no further process; other nodes go on."""

    def __init__(self) -> None:
        self._broken: Dict[Place, int] = {}
        self._most: Dict[Place, int] = {}
        self.is_proven = False
        """Whether any process has been ready, so that the script is not to blame for those that are not."""

    def succeed(self, place: Place) -> None:
        """Note that a process is ready."""
        self.is_proven = True
        self._broken.pop(place, None)

    def fail(self, place: Place) -> Tuple[int, int]:
        """Note that a process has failed to start; return how many have now, and how many are too many."""
        broken = self._broken[place] = self._broken.get(place, 0) + 1
        most = self._most.setdefault(place, _TRIES * place.size)
        if broken >= most:
            place.size = 0
        return broken, most
