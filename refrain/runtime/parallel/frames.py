"""Frames: what dispatcher and workers say to each other, over any stream of bytes.

A frame is two lengths, a JSON object, and bytes that are no JSON. Dispatcher to worker::

    {"do": "start", ...}                        what :mod:`refrain.runtime.parallel.worker` needs; once
    {"do": "run", "batch": 7, ...}              one mini-batch, with the paths of its files; several may be on their way
    {"do": "stop"}                              call shutdown() and end

Worker to dispatcher::

    {"is": "ready"}                             init() has returned
    {"is": "broken", "error": ...}              the script cannot be loaded, or init() raised; the process ends
    {"is": "done", "batch": 7, "results": 3}    and the rows of its results, as bytes or in a file that is named
    {"is": "failed", "batch": 7, "error": ...}  run() raised
    {"is": "over"}                              shutdown() has returned
"""

from __future__ import annotations

import json
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Tuple

    Fields = Dict[str, Any]
    Frame = Tuple[Fields, bytes]

_HEAD = Struct(">II")
_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().raw_decode  # nothing follows the object, so that nothing need be looked for


def frame(fields: Fields, content: bytes = b"") -> bytes:
    """Return a frame. Texts may hold what is no Unicode, as names of files do."""
    head = _encode(fields).encode("ascii")
    return _HEAD.pack(len(head), len(content)) + head + content


class Frames:
    """Takes in bytes as they come, and gives out frames that are complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take in bytes and yield the frames that end in them."""
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= _HEAD.size:
                head, content = _HEAD.unpack_from(buffer, start)
                middle = start + _HEAD.size + head
                if len(buffer) < middle + content:
                    break
                fields, _ = _decode(buffer[start + _HEAD.size : middle].decode("ascii"))
                start = middle + content
                yield fields, bytes(buffer[middle:start])
        finally:
            del buffer[:start]
