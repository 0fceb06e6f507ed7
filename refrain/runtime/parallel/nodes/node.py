"""Node: another machine as the dispatcher sees it, and the worker processes there.

Everything goes over the node's one connection. Dispatcher to host::

    {"do": "hire", "of": "process003", "node": "001"}   start a worker process
    {"do": "pass", "of": "process003"}                  and bytes for it: the frames of a worker
    {"do": "end", "of": "process003"}                   kill it, and whatever it has started
    {"do": "stay"}                                      a sign of life
    {"do": "leave"}                                     end everything

Host to dispatcher::

    {"is": "node", "host": "b", ...}                    who it is; once
    {"is": "said", "of": "process003"}                  and the bytes
    {"is": "ended", "of": "process003", "how": "..."}   nothing more will come of it
    {"is": "here"}                                      a sign of life
"""

from __future__ import annotations

import time

from refrain.runtime.parallel.frames import Frames, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

    from refrain.runtime.parallel.frames import Fields, Frame
    from refrain.runtime.parallel.stream import Stream

BEAT_SECONDS = 1.0


class Node:
    """A machine whose host has called.

    :param size: how many worker processes it may have.
    :param frames: what has come of the stream already.
    """

    def __init__(self, name: str, title: str, size: int, stream: Stream, frames: Frames) -> None:
        self.name = name
        self.title = title
        self.size = size
        self.taken = 0
        self.stream = stream
        self.lost = ""
        """How it was lost; empty as long as it was not."""
        self._frames = frames
        self._peers: Dict[str, FarPeer] = {}
        self._silent = 0.0
        self._beaten = time.monotonic()

    def start(self, name: str) -> FarPeer:
        """Have a worker process started."""
        self._peers[name] = FarPeer(name, self)
        self.stream.put({"do": "hire", "of": name, "node": self.name})
        return self._peers[name]

    def receive(self) -> list[str]:
        """Take in what the host says; return the names of the workers that there is news of."""
        data = self.stream.read()
        names: Dict[str, None] = {}
        for fields, content in self._frames.feed(data):
            peer = self._peers.get(fields.get("of", ""))
            if peer is not None:
                peer.take(fields, content)
                names[peer.name] = None
        self._silent = 0.0
        if not self.stream.is_open:
            self.lose("its connection was closed")
        return list(names)

    def look_after(self, listened: float, patience: float) -> None:
        """Give a sign of life, and give the node up when it has given none for some seconds.

        :param listened: for how many seconds it could have been heard since it was looked after last.
        """
        now = time.monotonic()
        self._silent += listened
        if self._silent > patience:
            self.lose(f"nothing was heard of it for {patience:g} seconds")
        elif now - self._beaten > BEAT_SECONDS:
            self._beaten = now
            self.stream.put({"do": "stay"})
            self.stream.flush()

    def lose(self, how: str) -> None:
        """Note that it is gone, and everybody there."""
        self.lost = self.lost or how
        for peer in self._peers.values():
            peer.lose(how)

    def leave(self) -> None:
        """Let the host end everything, and close the connection."""
        self.stream.put({"do": "leave"})
        self.stream.flush()
        self.stream.close()

    def forget(self, name: str) -> None:
        """Hear no more of a worker."""
        self._peers.pop(name, None)


class FarPeer:
    """A worker process on a node; see :class:`refrain.runtime.parallel.peer.Peer`."""

    own_stream: Stream | None = None

    def __init__(self, name: str, node: Node) -> None:
        self.name = name
        self.is_open = True
        self.is_lost = False
        self.ending: str | None = None
        self._node = node
        self._frames = Frames()
        self._received: List[Frame] = []

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, or its node is gone."""
        return not self.is_open

    def put(self, fields: Fields, content: bytes = b"") -> None:
        """Have a frame sent by the next :meth:`flush`."""
        self._node.stream.put({"do": "pass", "of": self.name}, frame(fields, content))

    def send(self, fields: Fields) -> None:
        """Send a frame, as far as it fits now."""
        self.put(fields)
        self.flush()

    def flush(self) -> None:
        """Send what is to be sent to the node, as far as it fits."""
        self._node.stream.flush()

    def receive(self) -> list[Frame]:
        """Return the frames that have come; :attr:`is_open` says whether there can be more."""
        received, self._received = self._received, []
        return received

    def kill(self) -> None:
        """Have it ended; what it has said until then comes still."""
        if self.is_open and not self.is_lost:
            self._node.stream.put({"do": "end", "of": self.name})
            self._node.stream.flush()

    def end(self) -> list[Frame]:
        """Have it ended, and return what it had said until now."""
        self.kill()
        self.is_open = False
        self._node.forget(self.name)
        return self.receive()

    def take(self, fields: Fields, content: bytes) -> None:
        """Take in what the host says of it."""
        if fields["is"] == "said":
            self._received += self._frames.feed(content)
        elif fields["is"] == "ended":
            self.is_open = False
            self.ending = fields["how"]

    def lose(self, how: str) -> None:
        """Note that its node is gone."""
        if self.is_open:
            self.is_open, self.is_lost = False, True
            self.ending = f"its node {self._node.name} ({self._node.title}) is lost: {how}"
