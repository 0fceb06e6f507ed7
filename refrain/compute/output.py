"""OutputStream: a process's output on its way to the log file and to whoever is listening."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import BinaryIO

from refrain.compute.job import OnLine

MASK = b"***"
_LONGEST_LINE = 64 * 1024
_LINE_END = re.compile(rb"\r\n|\n|\r")


class OutputStream:
    """Splits bytes into lines, masks secrets, writes to the log and calls the listener.

    A carriage return ends a line too, so that progress bars are seen while they move. A line without end is cut
    after 64 KiB. A full disk does not stop the process: what cannot be written is still handed to the listener.
    """

    def __init__(self, log: BinaryIO, on_line: OnLine, secrets: Sequence[str] = ()) -> None:
        self._log = log
        self._on_line = on_line
        self._secrets = sorted((s.encode() for s in secrets if s), key=len, reverse=True)
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes."""
        data = self._rest + chunk
        start = 0
        for match in _LINE_END.finditer(data):
            if match.group() == b"\r" and match.end() == len(data):
                break  # the line feed of a pair may still come
            self._emit(data[start : match.start()], match.group())
            start = match.end()
        self._rest = data[start:]
        if len(self._rest) > _LONGEST_LINE:
            self._emit(self._rest, b"")
            self._rest = b""

    def close(self) -> None:
        """Hand over what came after the last line end."""
        if self._rest:
            self._emit(self._rest, b"")
            self._rest = b""

    def _emit(self, line: bytes, end: bytes) -> None:
        for secret in self._secrets:
            line = line.replace(secret, MASK)
        with contextlib.suppress(OSError):
            self._log.write(line + end)
        self._on_line(line.rstrip(b"\r").decode("utf-8", "replace"))
