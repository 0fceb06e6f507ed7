from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from fakes.waiting import eventually
from refrain.runtime.parallel.frames import frame
from refrain.runtime.parallel.nodes.door import Door
from refrain.runtime.parallel.nodes.handshake import StrangerError, greet_dispatcher, receive_node

SECRET = b"s" * 32
PATIENCE = 60.0


@pytest.fixture
def door() -> Iterator[Door]:
    with closing(Door("127.0.0.1", SECRET, None)) as made:
        yield made


def called(door: Door) -> socket.socket:
    return socket.create_connection(("127.0.0.1", door.port), 10)


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open none in the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, hard))
    taken = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in taken:
            os.close(number)


def test_who_knows_the_secret_is_let_in(door: Door) -> None:
    with called(door) as connection:
        greet_dispatcher(connection, SECRET, PATIENCE)
        connection.sendall(b"hello")
        assert eventually(lambda: len(door.arrived) == 1)
        stream = door.arrived.popleft()
        assert eventually(lambda: stream.read() == b"hello")
        stream.close()


def test_who_does_not_know_the_secret_is_not_let_in(door: Door) -> None:
    with called(door) as connection, pytest.raises(StrangerError, match="speaks another language"):
        greet_dispatcher(connection, b"x" * 32, PATIENCE)  # it is hung up on
    assert not door.arrived


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\xff" * 4096,
        frame({}),
        frame({"nonce": 1, "proof": ["a"]}),
        frame({"proof": "\udcff"}),
        b"\0\0\0\2\0\0\0\0[]",
        b"\0\0\1\0\0\0\0\0" + b"[" * 256,
    ],
)
def test_who_says_anything_else_is_not_let_in(door: Door, said: bytes) -> None:
    with called(door) as connection:
        with suppress(OSError):
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
        connection.settimeout(9)  # sooner than those who say nothing are given up
        with suppress(ConnectionResetError):
            while connection.recv(1024):
                pass
    assert not door.arrived


def test_strangers_keep_nobody_out(door: Door) -> None:
    strangers = [called(door) for _ in range(20)]
    with called(door) as connection:
        greet_dispatcher(connection, SECRET, PATIENCE)
        assert eventually(lambda: len(door.arrived) == 1, 9)  # sooner than the strangers are given up
    for stranger in strangers:
        stranger.close()


def test_a_dispatcher_that_does_not_know_the_secret_is_not_worked_for() -> None:
    ours, theirs = socket.socketpair()

    def pretend() -> None:
        theirs.sendall(frame({"nonce": "00"}))
        theirs.recv(1024)
        theirs.sendall(frame({"proof": "00" * 32}))

    with ours, theirs:
        thread = threading.Thread(target=pretend)
        thread.start()
        with pytest.raises(StrangerError, match="does not know the secret"):
            greet_dispatcher(ours, SECRET, PATIENCE)
        thread.join()


def test_a_proof_that_was_overheard_is_of_no_use() -> None:
    first, second = socket.socketpair()
    with first, second:
        overheard = frame({"nonce": "00", "proof": "11" * 32})
        second.sendall(overheard)
        with pytest.raises(StrangerError):
            receive_node(first, SECRET, PATIENCE)


@pytest.mark.parametrize("handshake", [receive_node, greet_dispatcher])
def test_who_speaks_byte_by_byte_has_no_more_time_than_others(handshake: Callable[..., None]) -> None:
    ours, theirs = socket.socketpair()

    def drip() -> None:
        theirs.sendall(b"\0\0\3\0\0\0\0\0")
        with suppress(OSError):  # until it is hung up on
            while True:
                time.sleep(0.1)
                theirs.sendall(b" ")

    with theirs:
        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        with ours, pytest.raises(OSError, match="time"):
            handshake(ours, SECRET, 1.0)
        assert time.monotonic() - began < 20  # of the hundred for which a kilobyte lasts
        thread.join()


def test_a_door_opens_again_when_too_many_files_were_open(door: Door) -> None:
    with socket.socket() as first, socket.socket() as second:
        with no_more_files():
            for connection in (first, second):  # who waits in accept() has the number for one of them already
                connection.connect(("127.0.0.1", door.port))
            time.sleep(0.3)  # in which the door tries in vain
        for connection in (first, second):
            greet_dispatcher(connection, SECRET, PATIENCE)
        assert eventually(lambda: len(door.arrived) == 2)


def test_a_door_that_is_closed_lets_nobody_in() -> None:
    door = Door("127.0.0.1", SECRET, None)
    door.close()
    with pytest.raises(OSError, match="refused"):
        called(door)
