"""Peer: a process that was started from here, in a group of its own, and the connection to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import suppress

from refrain.runtime.parallel.frames import Frames
from refrain.runtime.parallel.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Mapping, Sequence

    from refrain.runtime.parallel.frames import Fields, Frame

MARK = "REFRAIN_PARALLEL_PROCESS"
_LOOKS = 3  # one that forks while it is being killed is met again
_END_SECONDS = 1.0
_PAUSE = 0.2
_OUT_OF_MEMORY = "; it may have used too much memory"


class Peer:
    """A process, and frames to and from it. Nothing here ever waits for it.

    :param command: started with two more words: the number of its end of the connection, and that of this process.
    :param name: tells it, and what it starts, from others of this step.
    :param environment: its variables; None for our own.
    """

    is_lost = False
    """Whether it is gone because its machine is."""

    def __init__(
        self,
        command: Sequence[str],
        name: str,
        stdout: IO[bytes],
        stderr: IO[bytes],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        ours, theirs = socket.socketpair()
        self._mark = f"{os.getpid()}-{name}"
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env={**(os.environ if environment is None else environment), MARK: self._mark},
            )
        self.stream = Stream(ours)
        self.own_stream: Stream | None = self.stream
        """The connection that nobody else speaks on; always there."""
        self._frames = Frames()
        self._is_killed = False
        self._was_killed = False

    @property
    def is_open(self) -> bool:
        """Whether it may have more to say."""
        return self.stream.is_open

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, or was killed."""
        return self._is_killed or not self.is_open or self._process.poll() is not None

    def put(self, fields: Fields, content: bytes = b"") -> None:
        """Have a frame sent by the next :meth:`flush`."""
        self.stream.put(fields, content)

    def send(self, fields: Fields) -> None:
        """Send a frame, as far as it fits now."""
        self.stream.put(fields)
        self.stream.flush()

    def flush(self) -> None:
        """Send what is to be sent, as far as it fits."""
        self.stream.flush()

    def receive(self) -> list[Frame]:
        """Return the frames that have come; :attr:`is_open` says whether there can be more."""
        return list(self._frames.feed(self.stream.read()))

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

    def kill(self) -> None:
        """End the process, and whatever it has started."""
        if self._is_killed:
            return
        if not self.is_open:  # it is about to end by itself, which tells more than our signal would
            self._wait(_PAUSE)
        self._is_killed = True
        self._was_killed = self._process.poll() is None
        _signal_group(self._process.pid)
        for _ in range(_LOOKS):
            strays = _marked(f"{MARK}={self._mark}".encode())
            for process in strays:
                _signal(process)
            if not strays:
                break
        self._wait(_END_SECONDS)  # one that hangs in the kernel dies when that lets it

    def rest(self) -> bytes:
        """Kill the process, close the connection, and return what it had said last."""
        self.kill()
        parts = []
        while True:
            data = self.stream.read()
            if not data:
                break
            parts.append(data)
        self.stream.close()
        return b"".join(parts)

    def end(self) -> list[Frame]:
        """Kill the process, and return the last frames that it had sent whole."""
        return list(self._frames.feed(self.rest()))

    def _wait(self, seconds: float) -> None:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return


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
