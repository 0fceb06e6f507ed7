"""OutputStream: a process's output on its way to the log file and to whoever is listening."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from refrain.compute.job import OnLine
from refrain.errors import StepFailedError

MASK = b"***"
_LONGEST_LINE = 64 * 1024
_SHORTEST_PART = 4
_LINE_END = re.compile(rb"\r\n|\n|\r")


def open_log(path: str) -> BinaryIO:
    """Open the file that receives an output.

    :raises StepFailedError: when it cannot be written.
    """
    try:
        return open(path, "ab", buffering=0)
    except OSError as error:
        raise StepFailedError(f"The log {path!r} cannot be written: {error.strerror}.") from error


class OutputStream:
    """Splits bytes into lines, masks secrets, writes to the log and calls the listener.

    A carriage return ends a line too, so that progress bars are seen while they move. A line without end is cut
    after 64 KiB. Of a secret of several lines each line is masked. Neither a full disk nor a listener that fails
    stops the process: its output must be taken in, or it would wait for us for ever.
    """

    def __init__(self, log_file: BinaryIO, on_line: OnLine, secrets: Sequence[str] = ()) -> None:
        self._log_file = log_file
        self._on_line: OnLine | None = on_line
        self._secrets = sorted(_parts(secrets), key=len, reverse=True)
        self._overlap = len(self._secrets[0]) - 1 if self._secrets else 0
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes."""
        data = self._rest + chunk
        start = 0
        for match in _LINE_END.finditer(data, max(0, len(self._rest) - 1)):
            if match.group() == b"\r" and match.end() == len(data):
                break  # the line feed of a pair may still come
            self._emit(self._masked(data[start : match.start()]), match.group())
            start = match.end()
        self._rest = data[start:]
        if len(self._rest) > _LONGEST_LINE + self._overlap:
            self._cut()

    def close(self) -> None:
        """Hand over what came after the last line end."""
        if self._rest:
            self._emit(self._masked(self._rest), b"")
            self._rest = b""

    def _cut(self) -> None:
        """Hand over all but the end of a long line, where a secret may have begun."""
        masked = self._masked(self._rest)
        keep = len(masked) - self._overlap
        self._emit(masked[:keep], b"")
        self._rest = masked[keep:]

    def _masked(self, line: bytes) -> bytes:
        for secret in self._secrets:
            line = line.replace(secret, MASK)
        return line

    def _emit(self, line: bytes, end: bytes) -> None:
        with contextlib.suppress(OSError):
            self._log_file.write(line + end)
        if self._on_line is None:
            return
        try:
            self._on_line(line.rstrip(b"\r").decode("utf-8", "replace"))
        except Exception:  # whoever listens, such as a closed terminal, is not the process's affair
            import logging

            logging.getLogger(__name__).exception("The listener of a step's output failed and hears no more of it")
            self._on_line = None


def mask_file(path: str, secrets: Sequence[str]) -> None:
    """Mask secrets in a file that nobody writes to any more; one that holds none is left as it is.

    :raises OSError: when it cannot be read, or not be written anew.
    """
    content = masked = Path(path).read_bytes() if secrets else b""
    for secret in sorted(_parts(secrets), key=len, reverse=True):
        masked = masked.replace(secret, MASK)
    if masked == content:
        return
    waiting = f"{path}.masked"
    try:
        Path(waiting).write_bytes(masked)
        os.replace(waiting, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(waiting)
        raise


def _parts(secrets: Sequence[str]) -> set[bytes]:
    """Return the secrets and, of those of several lines, their lines, which appear one by one in an output."""
    whole = {secret.encode() for secret in secrets if secret}
    lines = {part for secret in whole for part in _LINE_END.split(secret) if len(part) >= _SHORTEST_PART}
    return lines | {secret for secret in whole if not _LINE_END.search(secret)}
