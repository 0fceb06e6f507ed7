"""Local files as streams: read by ranges, and written beside their place until they are complete."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from refrain.errors import DataError, DataNotFoundError, why
from refrain.storage.listing import Listed
from refrain.storage.parts import Part
from refrain.storage.scan import ROW, Stat, row_of
from refrain.values import dataclass


def status_tag(found: Stat) -> str:
    """Return what a file's status says of its content."""
    return f"{found.size}-{found.mtime_ns}-{found.inode}"


def _tag(status: os.stat_result) -> str:
    return status_tag(Stat._make(ROW.unpack(row_of(status))))


def listed_file(relative: str, path: str) -> Listed:
    """Return a local file as a listing tells it.

    :raises DataNotFoundError: when there is none.
    :raises DataError: when it cannot be looked at.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        raise DataNotFoundError(f"There is nothing at {path!r}.") from error
    except OSError as error:
        raise DataError(f"Cannot read {path!r}: {error.strerror}.") from error
    return Listed(relative, path, status.st_size, _tag(status))


@dataclass(frozen=True)
class LocalReading:
    """See :class:`refrain.storage.streams.Reading`."""

    listed: Listed

    @property
    def name(self) -> str:
        """See :class:`Reading`."""
        return repr(self.listed.uri)

    @property
    def size(self) -> int:
        """See :class:`Reading`."""
        return self.listed.size

    @property
    def tag(self) -> str:
        """See :class:`Reading`."""
        return self.listed.tag

    def read(self, start: int, end: int) -> bytes:
        """See :class:`Reading`."""
        try:
            with open(self.listed.uri, "rb", buffering=0) as file:
                file.seek(start)
                data = file.read(end - start) or b""
                while len(data) < end - start:
                    more = file.read(end - start - len(data))
                    if not more:
                        raise self._changed()
                    data += more
        except DataError:
            raise
        except OSError as error:
            raise DataError(f"Cannot read {self.name}: {error.strerror}.") from error
        return data

    def require_same(self, etag: str | None) -> None:  # noqa: ARG002  # its status says it
        """See :class:`Reading`."""
        try:
            is_same = _tag(os.stat(self.listed.uri)) == self.listed.tag
        except OSError:
            is_same = False
        if not is_same:
            raise self._changed()

    def _changed(self) -> DataError:
        return DataError(f"{self.name} changed while it was being copied; run again when its writer has finished.")


@dataclass(frozen=True)
class LocalWriting:
    """See :class:`refrain.storage.streams.Writing`.

    :param is_in_place: write to the path itself: whoever asks for it moves the complete file on.
    """

    path: Path
    is_in_place: bool = False
    is_ordered = False
    wants_sums = False

    @property
    def name(self) -> str:
        """See :class:`Writing`."""
        return repr(str(self.path))

    def put(self, data: bytes, md5: str) -> str:
        """See :class:`Writing`."""
        upload, _ = self.begin(len(data), None, {})
        try:
            self.write(upload, Part(0, 0, len(data)), data, md5)
            return self.finish(upload, len(data), ())
        except BaseException:
            self.abandon(upload)
            raise

    def begin(self, size: int, upload: str | None, parts: Mapping[int, str]) -> tuple[str, dict[int, str]]:
        """See :class:`Writing`. The id is the name of the file that waits beside the place."""
        if upload is not None and self._size(self.path.with_name(upload)) == size:
            return upload, dict(parts)
        begun = self.path.name if self.is_in_place else f".refrain-{os.urandom(8).hex()}"
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path.with_name(begun), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                os.ftruncate(descriptor, size)
            finally:
                os.close(descriptor)
        return begun, {}

    def write(self, upload: str, part: Part, data: bytes, md5: str) -> None:  # noqa: ARG002  # read back by no sum
        """See :class:`Writing`."""
        with self._explained():
            descriptor = os.open(self.path.with_name(upload), os.O_WRONLY | os.O_CLOEXEC)
            try:
                view, position = memoryview(data), part.start
                while view:
                    count = os.pwrite(descriptor, view, position)
                    view, position = view[count:], position + count
            finally:
                os.close(descriptor)

    def finish(self, upload: str, size: int, sums: Sequence[str]) -> str:  # noqa: ARG002  # see write
        """See :class:`Writing`."""
        with self._explained():
            if not self.is_in_place:
                os.replace(self.path.with_name(upload), self.path)
            return _tag(os.stat(self.path))

    def abandon(self, upload: str) -> None:
        """See :class:`Writing`."""
        with contextlib.suppress(OSError):
            os.unlink(self.path.with_name(upload))

    def _size(self, path: Path) -> int | None:
        with contextlib.suppress(OSError):
            return path.stat().st_size
        return None

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(f"Cannot write {self.name}: {why(error, 'copy to another place')}") from error
