"""Switchboard: waits until one of many streams has something to say, or has room for what waits to be sent."""

from __future__ import annotations

import selectors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator

    from refrain.runtime.parallel.stream import Stream


class Switchboard:
    """Some streams, each with what it stands for."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._streams: Dict[Stream, bool] = {}  # whether it is waited for room, too

    def add(self, stream: Stream, meaning: Any) -> None:
        """Wait for a stream from now on."""
        self._selector.register(stream, selectors.EVENT_READ, meaning)
        self._streams[stream] = False

    def remove(self, stream: Stream) -> None:
        """Wait for it no longer; it must still be there."""
        self._selector.unregister(stream)
        del self._streams[stream]

    def heard(self, seconds: float) -> Iterator[Any]:
        """Wait at most so long, send what fits, and yield the meaning of those who have something to say."""
        self._watch_for_room()
        for key, mask in self._selector.select(seconds):
            stream: Any = key.fileobj
            if mask & selectors.EVENT_WRITE:
                stream.flush()
            if mask & selectors.EVENT_READ and stream in self._streams:  # whoever was heard before may have removed it
                yield key.data

    def _watch_for_room(self) -> None:
        for stream, is_watched in self._streams.items():
            if stream.has_unsent != is_watched and stream.is_open:
                room = selectors.EVENT_WRITE if stream.has_unsent else 0
                self._selector.modify(stream, selectors.EVENT_READ | room, self._selector.get_key(stream).data)
                self._streams[stream] = stream.has_unsent
