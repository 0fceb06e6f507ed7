"""Ledger: what an interrupted copy had done, so that the next try does not do it again.

::

    <root>/transfers/<ab>/<digest of the target's URI>.jsonl

One line of JSON for each part and each file that has arrived. A line that a killed process left half-written is
skipped. The file is locked while its copy runs, and deleted when the copy is complete.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refrain.errors import DataError, WorkspaceError
from refrain.storage.cache import is_at
from refrain.storage.digest import digest_bytes

_SCHEMA = 1
_FREE = "/"  # no name of a file
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass
class _Known:
    """What is known of one file: of which content it is a copy, and how far that is."""

    tag: str
    upload: str | None = None
    parts: dict[int, str] = field(default_factory=dict)
    arrived: str | None = None
    digest: str | None = None


class Ledger:
    """The notes of one copy. A ledger without a file keeps none, for copies that are too small to be gone on with."""

    def __init__(self, descriptor: int | None = None, known: Mapping[str, _Known] | None = None) -> None:
        self._descriptor = descriptor
        self._known = dict(known or {})
        self._is_free = _FREE in self._known
        self._known.pop(_FREE, None)

    @property
    def is_free(self) -> bool:
        """Say whether an earlier try has found that nothing is in the way."""
        return self._is_free

    def note_free(self) -> None:
        """Note that nothing is in the way, so that what arrives from now on is this copy's own."""
        self._append({"file": _FREE, "tag": ""})

    @property
    def is_kept(self) -> bool:
        """Say whether a later try can read what is noted."""
        return self._descriptor is not None

    @property
    def names(self) -> frozenset[str]:
        """The names of all files of which anything is known; none when nothing had been done yet."""
        return frozenset(self._known)

    def arrived(self, name: str, tag: str) -> tuple[str | None, str | None]:
        """Return tag and digest of the finished copy of a file; twice None when this content has not arrived."""
        known = self._known.get(name)
        return (known.arrived, known.digest) if known is not None and known.tag == tag else (None, None)

    def begun(self, name: str, tag: str) -> tuple[str | None, dict[int, str]]:
        """Return the id of a large file's interrupted upload, and the MD5s of the parts that it had sent."""
        known = self._known.get(name)
        return (known.upload, known.parts) if known is not None and known.tag == tag else (None, {})

    def stale(self, name: str, tag: str) -> str | None:
        """Return the id of an upload of an earlier content, which is good for nothing any more."""
        known = self._known.get(name)
        return known.upload if known is not None and known.tag != tag and known.arrived is None else None

    def note_begun(self, name: str, tag: str, upload: str) -> None:
        """Note that the upload of a large file has begun."""
        self._append({"file": name, "tag": tag, "upload": upload})

    def note_part(self, name: str, index: int, md5: str) -> None:
        """Note that a part has arrived."""
        self._append({"file": name, "part": index, "md5": md5})

    def note_arrived(self, name: str, tag: str, arrived: str, digest: str | None) -> None:
        """Note that a file has arrived, with its tag at the target and, if known, the digest of its content."""
        self._append({"file": name, "tag": tag, "arrived": arrived, "digest": digest})

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._descriptor is not None:
            os.write(self._descriptor, f"{json.dumps(line)}\n".encode())


NO_LEDGER = Ledger()


@dataclass(frozen=True)
class Ledgers:
    """The ``transfers/`` part of a workspace."""

    folder: Path

    @contextlib.contextmanager
    def open(self, source: str, target: str) -> Iterator[Ledger]:
        """Hold the ledger of the copies to *target*, and delete it when the block ends well.

        What was noted of another source, or before this machine was started anew, counts no more.

        :raises DataError: when another copy to *target* is under way.
        :raises WorkspaceError: when the ledger cannot be kept.
        """
        key = digest_bytes(target.encode())
        path = self.folder / key[:2] / f"{key}.jsonl"
        descriptor = _held(path, target)
        try:
            head = {"schema": _SCHEMA, "source": source, "target": target, "boot": _boot()}
            known = _read(path, head)
            if known is None:
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{json.dumps(head)}\n".encode())
            else:
                os.write(descriptor, b"\n")  # whatever a killed process left unfinished ends here
            yield Ledger(descriptor, known)
            path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _held(path: Path, target: str) -> int:
    """Open a ledger and hold its lock: that of the file at *path*, and not of one that has just been deleted."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise WorkspaceError(f"Cannot keep notes of a copy at {str(path)!r}: {error.strerror}.") from error
        try:
            _lock(descriptor, target)
            if is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, target: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DataError(f"Another copy to {target} is under way; wait until it has ended.") from error


def _boot() -> str:
    """Return what changes when the machine starts anew: what was noted may then never have reached a disk."""
    with contextlib.suppress(OSError):
        return _BOOT.read_text().strip()
    return ""


def _read(path: Path, head: Mapping[str, Any]) -> dict[str, _Known] | None:
    """Return what is known by file; None when it is of another copy."""
    lines = [line for line in map(_parsed, path.read_bytes().split(b"\n")) if line]
    if not lines or lines[0] != head:
        return None
    known: dict[str, _Known] = {}
    for line in lines[1:]:
        with contextlib.suppress(KeyError, TypeError, ValueError):
            _take(line, known)
    return known


def _parsed(line: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        document = json.loads(line)
        return document if isinstance(document, dict) else {}
    return {}


def _take(line: Mapping[str, Any], known: dict[str, _Known]) -> None:
    name = str(line["file"])
    if "part" in line:
        known[name].parts[int(line["part"])] = str(line["md5"])
        return
    known[name] = _Known(str(line["tag"]), line.get("upload"), {}, line.get("arrived"), line.get("digest"))
