"""Remote objects as streams: read by ranges, and sent in parts where the store takes them.

S3 and Azure are spoken to through the clients that s3fs and adlfs hold, because fsspec's own interface sends no parts
that a later try could go on with. Every other file system is written to in one stream.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from refrain.errors import DataError
from refrain.storage.blob_parts import BlobWriting
from refrain.storage.filesystem import AZURE, S3, FileSystem
from refrain.storage.listing import Listed, tag_of
from refrain.storage.parts import PART_BYTES, Part
from refrain.storage.reading import fetched
from refrain.storage.retry import TransientError
from refrain.storage.s3_parts import S3Writing, read_object
from refrain.storage.streams import Writing


@dataclass(frozen=True)
class RemoteReading:
    """See :class:`refrain.storage.streams.Reading`."""

    files: FileSystem
    listed: Listed

    @property
    def name(self) -> str:
        """See :class:`Reading`."""
        return self.listed.uri

    @property
    def size(self) -> int:
        """See :class:`Reading`."""
        return self.listed.size

    @property
    def tag(self) -> str:
        """See :class:`Reading`."""
        return self.listed.tag

    @property
    def is_checked(self) -> bool:
        """Say whether each read is refused by the store itself when the object has changed."""
        return self.files.protocol in S3 and not (self.listed.is_known_by_time or self.listed.is_known_by_chance)

    def read(self, start: int, end: int) -> bytes:
        """See :class:`Reading`."""
        if start == end:
            return b""
        return self.files.call(f"read {self.name}", lambda fs: self._read(fs, start, end))

    def require_same(self, etag: str | None) -> None:
        """See :class:`Reading`. A tag that is the sum of what was read says it; else the store is asked again."""
        if etag is not None and etag == self.listed.tag:
            return
        if self.listed.is_known_by_chance:
            return
        now = self.files.call(f"read {self.name}", lambda fs: info_of(fs, self.name))
        if tag_of(now) != self.listed.tag:
            raise self._changed()

    def _read(self, fs: Any, start: int, end: int) -> bytes:
        if self.files.protocol in S3:
            data = read_object(self.files, fs, self.listed, start, end)
        else:
            return fetched(fs, self.name, self.size, start, end)
        if data is None:
            raise self._changed()
        if len(data) != end - start:
            raise TransientError(f"Cannot read {self.name}: {len(data)} bytes came instead of {end - start}.")
        return data

    def _changed(self) -> DataError:
        return DataError(f"{self.name} changed while it was being fetched; run again when its writer has finished.")


@dataclass(frozen=True)
class WholeReading:
    """See :class:`refrain.storage.streams.Reading`: what a server sends only as a whole, in a file of this process."""

    listed: Listed
    copy: BinaryIO

    @property
    def name(self) -> str:
        """See :class:`Reading`."""
        return self.listed.uri

    @property
    def size(self) -> int:
        """See :class:`Reading`."""
        return os.fstat(self.copy.fileno()).st_size

    @property
    def tag(self) -> str:
        """See :class:`Reading`."""
        return self.listed.tag

    def read(self, start: int, end: int) -> bytes:
        """See :class:`Reading`."""
        return os.pread(self.copy.fileno(), end - start, start)

    def require_same(self, etag: str | None) -> None:
        """See :class:`Reading`; it came in one answer."""


@dataclass(frozen=True)
class StreamWriting:
    """See :class:`refrain.storage.streams.Writing`: a file system of which nothing more is known.

    A large file is written under a name beside its own, and renamed.
    """

    files: FileSystem
    url: str
    streams: dict[str, Any] = field(default_factory=dict, compare=False)
    is_ordered = True
    wants_sums = False

    @property
    def name(self) -> str:
        """See :class:`Writing`."""
        return self.url

    def put(self, data: bytes, md5: str) -> str:  # noqa: ARG002  # see _tag
        """See :class:`Writing`."""

        def put(fs: Any) -> str:
            _make_parent(fs, self.url)
            fs.pipe_file(self.url, data)
            return self._tag(fs, self.url, len(data))

        return self.files.call(f"write {self.url}", put)

    def begin(self, size: int, upload: str | None, parts: Mapping[int, str]) -> tuple[str, dict[int, str]]:  # noqa: ARG002
        """See :class:`Writing`. The id is the URL of the file beside, which is written anew in each try."""
        parent, _, name = self.url.rpartition("/")
        begun = upload or f"{parent}/.refrain-{secrets.token_hex(8)}-{name}"

        def begin(fs: Any) -> Any:
            _make_parent(fs, self.url)
            return fs.open(begun, "wb", block_size=PART_BYTES)

        self.streams[begun] = self.files.call(f"write {self.url}", begin)
        return begun, {}

    def write(self, upload: str, part: Part, data: bytes, md5: str) -> None:  # noqa: ARG002  # see begin
        """See :class:`Writing`; after a failure everything is written anew."""
        self._once(lambda _fs: self.streams[upload].write(data))

    def finish(self, upload: str, size: int, sums: Sequence[str]) -> str:  # noqa: ARG002  # see begin
        """See :class:`Writing`."""
        self._once(lambda _fs: self.streams.pop(upload).close())

        def finish(fs: Any) -> str:
            if is_there(fs, upload):  # else an earlier try has renamed it
                self._tag(fs, upload, size)
                self._rename(fs, upload)
            return self._tag(fs, self.url, size)

        return self.files.call(f"write {self.url}", finish)

    def _once(self, act: Callable[[Any], object]) -> None:
        self.files.call(f"write {self.url}", act, is_retried=False)

    def abandon(self, upload: str) -> None:
        """See :class:`Writing`."""
        stream = self.streams.pop(upload, None)
        with contextlib.suppress(DataError):
            if stream is not None:
                self._once(lambda _fs: stream.close())
        with contextlib.suppress(DataError):
            self.files.call(f"delete {upload}", lambda fs: fs.rm_file(upload))

    def _rename(self, fs: Any, upload: str) -> None:
        """Rename what has just been seen: fsspec's general mv() takes a question that failed for "it is not there"."""
        try:
            fs.mv(upload, self.url)
        except FileNotFoundError as error:
            raise TransientError(f"{upload} cannot be renamed to {self.url}.") from error

    def _tag(self, fs: Any, url: str, size: int) -> str:
        info = info_of(fs, url)
        if int(info["size"]) != size:
            raise TransientError(f"{url} did not arrive as it was sent: {info['size']} of {size} bytes.")
        return tag_of(info)


def writing_on(files: FileSystem, url: str) -> Writing:
    """Return the way in which this file system takes an object."""
    if files.protocol in S3:
        return S3Writing(files, url)
    if files.protocol in AZURE:
        return BlobWriting(files, url)
    return StreamWriting(files, url)


def info_of(fs: Any, url: str) -> dict[str, Any]:
    """Return what the store says of one object, never from a cache."""
    fs.invalidate_cache()
    return dict(fs.info(url))


def is_there(fs: Any, url: str) -> bool:
    """Say whether there is an object; fsspec's own exists() says no of whatever it could not find out."""
    try:
        info_of(fs, url)
    except FileNotFoundError:
        return False
    return True


def _make_parent(fs: Any, url: str) -> None:
    with contextlib.suppress(NotImplementedError):
        fs.makedirs(fs._parent(url), exist_ok=True)
