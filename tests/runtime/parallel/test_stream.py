from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.certificates import certificates
from refrain.runtime.parallel.frames import Frames
from refrain.runtime.parallel.nodes.order import Certificates
from refrain.runtime.parallel.stream import Stream
from refrain.runtime.parallel.switchboard import Switchboard

MUCH = b"x" * (8 << 20)


@pytest.fixture
def ends() -> Iterator[tuple[Stream, Stream]]:
    first, second = map(Stream, socket.socketpair())
    yield first, second
    first.close()
    second.close()


def everything(switchboard: Switchboard, reader: Stream, size: int) -> bytes:
    """What comes until so much is there."""
    received = b""
    deadline = time.monotonic() + 60
    while len(received) < size and time.monotonic() < deadline:
        for meaning in switchboard.heard(0.1):
            received += reader.read() if meaning == "reader" else b""
    return received


def test_a_frame_comes_as_it_was_put(ends: tuple[Stream, Stream]) -> None:
    ends[0].put({"is": "done"}, b"rows")
    ends[0].flush()
    assert list(Frames().feed(ends[1].read())) == [({"is": "done"}, b"rows")]


def test_what_does_not_fit_is_sent_when_there_is_room(ends: tuple[Stream, Stream]) -> None:
    writer, reader = ends
    switchboard = Switchboard()
    switchboard.add(writer, "writer")
    switchboard.add(reader, "reader")
    writer.pass_on(MUCH)
    writer.flush()
    assert writer.has_unsent
    assert everything(switchboard, reader, len(MUCH)) == MUCH
    assert not writer.has_unsent


def test_the_end_of_the_other_end_is_noticed(ends: tuple[Stream, Stream]) -> None:
    ends[0].pass_on(b"last")
    ends[0].flush()
    ends[0].close()
    assert (ends[1].read(), ends[1].read(), ends[1].is_open) == (b"last", b"", False)
    ends[1].pass_on(b"nobody reads it")
    ends[1].flush()
    assert not ends[1].has_unsent


def test_who_was_removed_by_another_is_not_heard(ends: tuple[Stream, Stream]) -> None:
    switchboard = Switchboard()
    for stream, other in (ends, ends[::-1]):
        switchboard.add(stream, other)
        other.pass_on(b"x")
        other.flush()
    heard = []
    for other in switchboard.heard(1):
        heard.append(other)
        switchboard.remove(other)
    assert len(heard) == 1


def test_an_encrypted_stream_gives_all_that_has_come(tmp_path: Path) -> None:
    files = Certificates(*map(str, certificates(tmp_path / "certificates")))
    ours, theirs = socket.socketpair()
    accepted: list[socket.socket] = []

    def accept() -> None:
        accepted.append(files.context(is_server=True).wrap_socket(theirs, server_side=True))

    thread = threading.Thread(target=accept)
    thread.start()
    writer = Stream(files.context(is_server=False).wrap_socket(ours))
    thread.join()
    reader, switchboard = Stream(accepted[0]), Switchboard()
    switchboard.add(writer, "writer")
    switchboard.add(reader, "reader")
    writer.pass_on(MUCH)
    writer.flush()
    assert everything(switchboard, reader, len(MUCH)) == MUCH
    writer.close()
    reader.close()
