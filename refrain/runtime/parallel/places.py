"""Places: the nodes on which worker processes are started, as far as they are there right now."""

from __future__ import annotations

import os
import sys

from refrain.runtime.parallel.peer import Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Mapping, Protocol

    from refrain.runtime.parallel.crew import Crew
    from refrain.runtime.parallel.frames import Fields, Frame
    from refrain.runtime.parallel.logs import Logs
    from refrain.runtime.parallel.stream import Stream

    class WorkerPeer(Protocol):
        """A worker process, wherever it is; :class:`Peer` says what is meant."""

        is_lost: bool
        own_stream: Stream | None
        """Its connection; None where those of one node share one."""

        @property
        def is_open(self) -> bool:
            """See :class:`Peer`."""

        @property
        def is_gone(self) -> bool:
            """See :class:`Peer`."""

        @property
        def ending(self) -> str | None:
            """See :class:`Peer`."""

        def put(self, fields: Fields, content: bytes = b"") -> None:
            """See :class:`Peer`."""

        def send(self, fields: Fields) -> None:
            """See :class:`Peer`."""

        def flush(self) -> None:
            """See :class:`Peer`."""

        def receive(self) -> list[Frame]:
            """See :class:`Peer`."""

        def kill(self) -> None:
            """See :class:`Peer`."""

        def end(self) -> list[Frame]:
            """See :class:`Peer`."""

    class Place(Protocol):
        """A node: its name in the logs, how many workers it may have, and how many it has."""

        name: str
        size: int
        taken: int

        def start(self, name: str) -> WorkerPeer:
            """Start a worker process."""

        @property
        def title(self) -> str:
            """What people call it."""

    class Places(Protocol):
        """All nodes."""

        now: List[Place]

        def open(self, crew: Crew) -> None:
            """See that there are nodes; there is work for them."""

        @property
        def awaits(self) -> bool:
            """Whether another node may come."""

        def look(self) -> str:
            """Take in which nodes have come and gone; return why there is none and will be none, or an empty text."""

        def close(self) -> None:
            """Give all nodes up."""


_WORKER = "refrain.runtime.parallel.worker"


def start_worker(name: str, node: str, logs: Logs, environment: Mapping[str, str] | None = None) -> Peer:
    """Start a worker process on this machine; what it prints goes to the logs."""
    stdout, stderr = logs.streams(node, name)
    with stdout, stderr:
        return Peer([sys.executable, "-m", _WORKER], name, stdout, stderr, environment)


class HereNode:
    """One node's worth of processes of this machine."""

    def __init__(self, name: str, size: int, logs: Logs) -> None:
        self.name = name
        self.size = size
        self.taken = 0
        self.title = os.uname().nodename
        self._logs = logs

    def start(self, name: str) -> Peer:
        """Start a worker process."""
        return start_worker(name, self.name, self._logs)


class Here:
    """The one machine that is always there, and stands for some nodes."""

    awaits = False

    def __init__(self, nodes: int, processes: int, logs: Logs) -> None:
        self.now: List[Place] = [HereNode(f"{number:03}", processes, logs) for number in range(nodes)]

    def open(self, crew: Crew) -> None:
        """Do nothing: this machine is there."""

    def look(self) -> str:
        """Return nothing: this machine stays."""
        return ""

    def close(self) -> None:
        """Do nothing."""
