"""Waiting for what becomes so in a while."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable


def eventually(is_so: Callable[[], bool], patience: float = 60.0) -> bool:
    """Say whether something becomes so within some seconds; it is asked once at the least."""
    deadline = time.monotonic() + patience
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def await_port(
    port: int, process: subprocess.Popen[bytes], patience: float = 60.0, said: Callable[[], str] = str
) -> None:
    """Wait until a server listens on this machine.

    :param said: returns what to add to the message, such as the end of its log.
    :raises TimeoutError: when it has ended, or takes too long.
    """

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    if not eventually(lambda: process.poll() is not None or listens(), patience) or process.poll() is not None:
        raise TimeoutError(f"{process.args!r} does not answer. {said()}")
