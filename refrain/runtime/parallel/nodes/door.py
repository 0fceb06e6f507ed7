"""Door: where hosts of nodes call, each in a thread of its own until it is known."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from contextlib import suppress

from refrain.runtime.parallel.nodes.handshake import StrangerError, receive_node
from refrain.runtime.parallel.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Deque

_PATIENCE = 10.0
_AT_ONCE = 64
_PAUSE_SECONDS = 0.1


class Door:
    """A listening socket. Who proves to be a host of this run waits in :attr:`arrived`.

    :param host: the address at which we listen; the port is a free one.
    :raises OSError: when it cannot be listened there.
    """

    def __init__(self, host: str, secret: bytes, context: ssl.SSLContext | None) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.bind((host, 0))
            self._socket.listen(_AT_ONCE)
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self.arrived: Deque[Stream] = deque()
        self._secret = secret
        self._context = context
        self._closed = threading.Event()
        self._rooms = threading.BoundedSemaphore(_AT_ONCE)
        threading.Thread(target=self._open, daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more."""
        self._closed.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept()
        self._socket.close()
        while self.arrived:
            self.arrived.popleft().close()

    def _open(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:  # who called is gone, or too many files are open; that passes
                self._closed.wait(_PAUSE_SECONDS)
                continue
            self._rooms.acquire()
            threading.Thread(target=self._admit, args=(connection,), daemon=True).start()

    def _admit(self, connection: socket.socket) -> None:
        try:
            ends = time.monotonic() + _PATIENCE
            connection.settimeout(_PATIENCE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            receive_node(connection, self._secret, ends - time.monotonic())
            self.arrived.append(Stream(connection))
        except (OSError, StrangerError):
            connection.close()
        finally:
            self._rooms.release()
