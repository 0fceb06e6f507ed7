"""WorkerCache: remote objects that this machine has fetched, shared by its steps and processes.

::

    <cache folder>/objects/<ab>/<digest>      one object, read only; the digest is that of its URI, size and tag
    <cache folder>/objects/<ab>/.tmp-<digest> being fetched, by whoever holds the lock on it
    <cache folder>/mounts/<step run id>/      hard links to objects, as a step sees them

A file's modification time is set to one fixed moment, so that a write to it shows; its access time is that of its last
use here. An object that a step uses has a second link, and is left alone when room is made.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from refrain.errors import DataError, UserError
from refrain.values import dataclass

MARK_NS = 1_000_000_000 * 1_000_000_000
"""The modification time of every file of the cache, in nanoseconds; anything else has been written to."""

DEFAULT_BYTES = 20 * 2**30
LIMIT = "REFRAIN_CACHE_BYTES"
_TEMPORARY = ".tmp-"
_FINISHED = 0o444
_STALE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Usage:
    """How much a cache holds."""

    files: int
    bytes: int


@dataclass(frozen=True)
class WorkerCache:
    """The cache in a folder, which any number of processes may share and anybody may delete."""

    folder: Path

    def mounts(self, run_id: str) -> Path:
        """Return the folder for what a step run sees of the cache."""
        return self.folder / "mounts" / run_id

    def link(self, digest: str, size: int, target: Path, fetch: Callable[[Path], None]) -> bool:
        """Put an object at *target*, fetching it first unless it is here; say whether it was fetched.

        :param fetch: writes the object to the path that it is given, and checks it.
        :raises DataError: when it cannot be written.
        """
        path = self.folder / "objects" / digest[:2] / digest
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            if self._take(path, size, target):
                return False
            with _locked(path.with_name(_TEMPORARY + digest)) as temporary:
                if self._take(path, size, target):  # somebody else has fetched it meanwhile
                    return False
                fetch(temporary)
                os.chmod(temporary, _FINISHED)
                os.utime(temporary, ns=(time.time_ns(), MARK_NS))
                os.link(temporary, target)
                os.replace(temporary, path)
        except DataError:
            raise
        except OSError as error:
            raise DataError(f"The worker's cache {str(self.folder)!r} cannot be used: {error}.") from error
        return True

    def add(self, write: Callable[[Path], str]) -> tuple[str, int]:
        """Keep an object that is made here, whose digest is known when it is written; return that and the size.

        :param write: writes the object to the path that it is given, and returns its digest.
        :raises DataError: when it cannot be written.
        """
        temporary = self.folder / "objects" / "new" / f"{_TEMPORARY}{os.urandom(16).hex()}"
        try:
            temporary.parent.mkdir(parents=True, exist_ok=True)
            digest = write(temporary)
            path = self.folder / "objects" / digest[:2] / digest
            path.parent.mkdir(exist_ok=True)
            size = temporary.stat().st_size
            os.chmod(temporary, 0o444)
            os.utime(temporary, ns=(time.time_ns(), MARK_NS))
            os.replace(temporary, path)
        except DataError:
            raise
        except OSError as error:
            raise DataError(f"The worker's cache {str(self.folder)!r} cannot be used: {error}.") from error
        finally:
            temporary.unlink(missing_ok=True)
        return digest, size

    def usage(self) -> Usage:
        """Return how much the cache holds."""
        sizes = [status.st_size for _, status in self._files()]
        return Usage(len(sizes), sum(sizes))

    def make_room(self, limit: int | None = None) -> None:
        """Delete what was not used for the longest time until the cache is within its limit, as far as possible.

        What a step is using stays, so that an object which is larger than the limit can be read as well.

        :param limit: in bytes; None means the one that is set.
        """
        limit = limit_bytes() if limit is None else limit
        files = list(self._files())
        total = sum(status.st_size for _, status in files)
        for path, status in sorted(files, key=lambda file: file[1].st_atime_ns):
            if total <= limit:
                return
            if status.st_nlink == 1:
                path.unlink(missing_ok=True)
                total -= status.st_size
        if total > limit:
            import logging

            logging.getLogger(__name__).warning(
                "The worker's cache %s holds %d bytes, more than the %d of its limit, because steps are using them. "
                "Raise %s if that is the rule.", self.folder, total, limit, LIMIT,
            )  # fmt: skip

    def _take(self, path: Path, size: int, target: Path) -> bool:
        try:
            status = os.stat(path)
            if status.st_size != size or status.st_mtime_ns != MARK_NS:  # somebody has written to it
                path.unlink(missing_ok=True)
                return False
            os.link(path, target)
            os.utime(target, ns=(time.time_ns(), MARK_NS))
        except FileNotFoundError:
            return False
        return True

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in (self.folder / "objects").glob("*/*"):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                if not path.name.startswith(_TEMPORARY):
                    yield path, status
                elif time.time() - status.st_ctime > _STALE_SECONDS:  # its maker was killed a day ago
                    path.unlink()


def limit_bytes() -> int:
    """Return how many bytes the cache may hold: ``REFRAIN_CACHE_BYTES``, or 20 GiB.

    :raises UserError: when the variable is no number.
    """
    text = os.environ.get(LIMIT, "")
    if not text:
        return DEFAULT_BYTES
    if not text.isdecimal():
        raise UserError(f"{LIMIT}={text!r} is no number of bytes; write one such as {DEFAULT_BYTES}.")
    return int(text)


def written_to(mounts: Path) -> str | None:
    """Return a file below a step's mounts that was written to; None when all are as they were fetched."""
    for parent, _, names in os.walk(mounts):
        for name in names:
            path = os.path.join(parent, name)
            if os.lstat(path).st_mtime_ns != MARK_NS:
                return path
    return None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[Path]:
    """Hold the lock on a new and empty file; the kernel lets go of it when its holder is killed."""
    while True:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not is_at(descriptor, path):  # its former holder has put it into place, or given up
                continue
            status = os.fstat(descriptor)
            if status.st_size or status.st_nlink > 1 or status.st_mode & 0o777 == _FINISHED:
                path.unlink()  # its former holder was killed, and what it saw of the object may still be read
                continue
            try:
                yield path
            finally:
                if is_at(descriptor, path):
                    path.unlink(missing_ok=True)
            return
        finally:
            os.close(descriptor)


def is_at(descriptor: int, path: Path) -> bool:
    """Say whether an open file is the one at a path, and not one that was there before."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
