"""Handshake: both ends of a connection prove that they know the run's secret, without saying it."""

from __future__ import annotations

import hmac
import os
import time

from refrain.runtime.parallel.frames import Frames, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

_MOST = 1024  # bytes that a stranger may say
_NODE, _DISPATCHER = "node", "dispatcher"


class StrangerError(Exception):
    """The other end does not know the secret, or does not speak as it should."""


def receive_node(connection: socket.socket, secret: bytes, patience: float) -> None:
    """Do the dispatcher's part, over a socket that waits.

    :param patience: how many seconds all of it may take; the socket's own timeout is changed.
    :raises StrangerError: when the other end is no host of this run.
    :raises OSError: when it does not say all of it in time.
    """
    deadline = time.monotonic() + patience
    ours = os.urandom(16).hex()
    connection.sendall(frame({"nonce": ours}))
    answer = _answer(connection, deadline)
    nonces = f"{ours} {answer.get('nonce')}"
    _require(answer, _proof(secret, _NODE, nonces))
    connection.sendall(frame({"proof": _proof(secret, _DISPATCHER, nonces)}))


def greet_dispatcher(connection: socket.socket, secret: bytes, patience: float) -> None:
    """Do the host's part; parameters as for :func:`receive_node`.

    :raises StrangerError: when the other end is not the dispatcher of this run.
    :raises OSError: when it does not say all of it in time.
    """
    deadline = time.monotonic() + patience
    theirs = _answer(connection, deadline).get("nonce")
    ours = os.urandom(16).hex()
    nonces = f"{theirs} {ours}"
    connection.sendall(frame({"nonce": ours, "proof": _proof(secret, _NODE, nonces)}))
    _require(_answer(connection, deadline), _proof(secret, _DISPATCHER, nonces))


def _proof(secret: bytes, role: str, nonces: str) -> str:
    return hmac.new(secret, f"{role} {nonces}".encode("utf-8", "replace"), "sha256").hexdigest()


def _require(answer: dict[str, Any], proof: str) -> None:
    if not hmac.compare_digest(str(answer.get("proof")).encode("utf-8", "replace"), proof.encode()):
        raise StrangerError("The other end does not know the secret of this run.")


def _answer(connection: socket.socket, deadline: float) -> dict[str, Any]:
    """Return what the other end says now: one frame, since each end waits for the other."""
    frames, size = Frames(), 0
    while size < _MOST:
        data = _received(connection, _MOST - size, deadline)
        if not data:
            break
        size += len(data)
        try:
            for fields, _ in frames.feed(data):
                return fields if isinstance(fields, dict) else {}
        except (ValueError, RecursionError):
            break
    raise StrangerError("The other end speaks another language.")


def _received(connection: socket.socket, most: int, deadline: float) -> bytes:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    connection.settimeout(left)  # of a socket, it counts anew for each byte that comes
    return connection.recv(most)
