"""Line: a process's end of its connection to the dispatcher."""

from __future__ import annotations

import os
import sys

from refrain.runtime.parallel.frames import Frames, frame
from refrain.runtime.parallel.lifeline import die_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Tuple

    from refrain.runtime.parallel.frames import Fields, Frame

_READ = 1 << 18


def begin() -> Tuple[Line, Iterator[Frame], Fields]:
    """Tie this process to the one that has started it; return the line to it, what it says, and the first of that.

    Ends the process when that one is gone already. It is started by :class:`refrain.runtime.parallel.peer.Peer`, with
    the number of its end of the connection and that of the other process as its arguments.
    """
    die_with(int(sys.argv[2]))
    line = Line(int(sys.argv[1]))
    messages = line.messages()
    for first, _ in messages:
        return line, messages, first
    sys.exit(0)


class Line:
    """Reads and writes frames, and waits where it has to."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor
        self._frames = Frames()

    def messages(self) -> Iterator[Frame]:
        """Yield what the dispatcher says, until it is gone."""
        while True:
            data = os.read(self._descriptor, _READ)
            if not data:
                return
            yield from self._frames.feed(data)

    def say(self, fields: Fields, content: bytes = b"") -> None:
        """Send a frame."""
        rest = memoryview(frame(fields, content))
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
