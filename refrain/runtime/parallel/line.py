"""Line: a process's end of its connection to the dispatcher."""

from __future__ import annotations

import os

from refrain.runtime.parallel.frames import Frames, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    from refrain.runtime.parallel.frames import Fields

_READ = 1 << 18


class Line:
    """Reads and writes frames, and waits where it has to."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor
        self._frames = Frames()

    def messages(self) -> Iterator[Fields]:
        """Yield what the dispatcher says, until it is gone."""
        while True:
            data = os.read(self._descriptor, _READ)
            if not data:
                return
            for fields, _ in self._frames.feed(data):
                yield fields

    def say(self, fields: Fields, content: bytes = b"") -> None:
        """Send a frame."""
        rest = memoryview(frame(fields, content))
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
