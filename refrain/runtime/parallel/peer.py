"""Peer: a process that was started from here, in a group of its own, and the connection to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

from refrain.runtime.parallel.frames import Frames, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

    from refrain.runtime.parallel.frames import Fields, Frame

MARK = "REFRAIN_PARALLEL_PROCESS"
_READ = 1 << 18
_LOOKS = 3  # one that forks while it is being killed is met again
_END_SECONDS = 1.0
_PAUSE = 0.2
_OUT_OF_MEMORY = "; it may have used too much memory"


class Peer:
    """A process, and frames to and from it. Nothing here ever waits for it.

    :param module: run with ``python -m``, with the number of its end of the connection as its argument.
    :param name: tells it, and what it starts, from others of this step.
    """

    def __init__(self, module: str, name: str, stdout: IO[bytes], stderr: IO[bytes]) -> None:
        ours, theirs = socket.socketpair()
        self._mark = f"{os.getpid()}-{name}"
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env={**os.environ, MARK: self._mark},
            )
        ours.setblocking(False)
        self._socket = ours
        self._frames = Frames()
        self._unsent = bytearray()
        self._was_killed = False
        self.is_open = True

    def fileno(self) -> int:
        """Return the number of our end of the connection."""
        return self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether something waits until the process has read what was sent."""
        return bool(self._unsent)

    def put(self, fields: Fields) -> None:
        """Have a frame sent by the next :meth:`flush`."""
        self._unsent += frame(fields)

    def send(self, fields: Fields) -> None:
        """Send a frame, as far as it fits now."""
        self.put(fields)
        self.flush()

    def flush(self) -> None:
        """Send what is to be sent, as far as it fits."""
        if self._unsent:
            del self._unsent[: self._write(self._unsent)]

    def receive(self) -> list[Frame]:
        """Return the frames that have come; :attr:`is_open` says whether there can be more."""
        received: list[Frame] = []
        while self.is_open:
            try:
                data = self._socket.recv(_READ)
            except BlockingIOError:
                break
            except OSError:  # it was killed with something unread
                data = b""
            self.is_open = bool(data)
            received += self._frames.feed(data)
            if len(data) < _READ:
                break
        return received

    @property
    def ending(self) -> str | None:
        """How the process ended by itself, in words; None while it is there, and when it was ended from here."""
        code = self._process.poll()
        if code is None or self._was_killed:
            return None
        if code >= 0:
            return f"its process exited with code {code}"
        name = signal.Signals(-code).name if -code in signal.Signals._value2member_map_ else f"signal {-code}"
        return f"its process was ended by {name}" + (_OUT_OF_MEMORY if name == "SIGKILL" else "")

    def end(self) -> list[Frame]:
        """Kill the process, and whatever it has started, and return the last frames that it had sent whole."""
        self._kill()
        last: list[Frame] = []
        while True:
            received = self.receive()
            if not received:
                break
            last += received
        self._socket.close()
        self.is_open = False
        return last

    def _kill(self) -> None:
        if not self.is_open:  # it is about to end by itself, which tells more than our signal would
            self._wait(_PAUSE)
        self._was_killed = self._process.poll() is None
        _signal_group(self._process.pid)
        for _ in range(_LOOKS):
            strays = _marked(f"{MARK}={self._mark}".encode())
            for process in strays:
                _signal(process)
            if not strays:
                break
        self._wait(_END_SECONDS)  # one that hangs in the kernel dies when that lets it

    def _wait(self, seconds: float) -> None:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    def _write(self, data: bytes | bytearray) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:  # it is gone, which is noticed where its end is looked for
            return len(data)


def _signal_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _signal(process: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(process, signal.SIGKILL)


def _marked(mark: bytes) -> list[int]:
    """Return the processes that have a mark in their environment; none where there is no ``/proc``."""
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if mark in file.read().split(b"\0"):
                    found.append(int(name))
        except OSError:  # it has ended, or is not ours
            continue
    return found
