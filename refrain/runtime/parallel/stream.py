"""Stream: one end of a connection, for whoever must not wait: what does not fit now is sent later."""

from __future__ import annotations

from refrain.runtime.parallel.frames import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from refrain.runtime.parallel.frames import Fields

_READ = 1 << 18
_WOULD_WAIT = ("SSLWantReadError", "SSLWantWriteError")  # by name: the module ssl is loaded where it is used


class Stream:
    """A connection. Nothing here ever waits for the other end.

    :param connection: a socket, encrypted or not, which belongs to the stream from now on.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._unsent = bytearray()
        self.is_open = True

    def fileno(self) -> int:
        """Return the number of our end of the connection."""
        return self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether something waits until the other end has read what was sent."""
        return bool(self._unsent)

    def put(self, fields: Fields, content: bytes = b"") -> None:
        """Have a frame sent by the next :meth:`flush`."""
        self._unsent += frame(fields, content)

    def pass_on(self, data: bytes) -> None:
        """Have bytes sent by the next :meth:`flush` that somebody else has made frames of."""
        self._unsent += data

    def flush(self) -> None:
        """Send what is to be sent, as far as it fits."""
        if self._unsent:
            del self._unsent[: self._write(self._unsent)]

    def read(self) -> bytes:
        """Return what has come; :attr:`is_open` says whether there can be more."""
        parts = []
        while self.is_open:
            try:
                data = self._socket.recv(_READ)
            except OSError as error:
                if _would_wait(error):
                    break
                data = b""  # it was killed with something unread
            self.is_open = bool(data)
            parts.append(data)
            if len(data) < _READ and not self._has_pending():
                break
        return b"".join(parts)

    def close(self) -> None:
        """Give the connection up."""
        self._socket.close()
        self.is_open = False

    def _has_pending(self) -> bool:
        """Say whether bytes have been decrypted and not been read, of which no selector knows."""
        pending = getattr(self._socket, "pending", None)
        return pending is not None and self.is_open and pending() > 0

    def _write(self, data: bytearray) -> int:
        try:
            return self._socket.send(data)
        except OSError as error:
            if _would_wait(error):
                return 0
            return len(data)  # it is gone, which is noticed where its end is looked for


def _would_wait(error: OSError) -> bool:
    return isinstance(error, BlockingIOError) or type(error).__name__ in _WOULD_WAIT
