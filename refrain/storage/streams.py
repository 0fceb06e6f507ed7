"""Streams: a file or an object that is read by ranges, and one that is being written; transfers join the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from refrain.storage.parts import Part


class Reading(Protocol):
    """A file or an object as it was when it was listed; safe to use from many threads."""

    @property
    def name(self) -> str:
        """The path or the URL, for messages."""

    @property
    def size(self) -> int:
        """The number of bytes."""

    @property
    def tag(self) -> str:
        """The store's word for this very content; for a local file, what its status says."""

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from *start* up to *end*, all of them.

        :raises DataError: when they cannot be read, or the content is no longer the one that was listed.
        """

    def require_same(self, etag: str | None) -> None:
        """Check, after everything was read, that it was the content that was listed.

        :param etag: the tag of what was read, by :mod:`refrain.storage.parts`; None when it is not known.
        :raises DataError: when it was not.
        """


class Writing(Protocol):
    """A file or an object in the making: it appears whole, or not at all. Safe to use from many threads."""

    @property
    def name(self) -> str:
        """The path or the URL, for messages."""

    @property
    def is_ordered(self) -> bool:
        """Say whether parts must be written one after the other; they cannot be gone on with then."""

    @property
    def wants_sums(self) -> bool:
        """Say whether the MD5 of each part is needed."""

    def put(self, data: bytes, md5: str) -> str:
        """Write all of a small object, whose MD5 is known, and return its tag.

        :raises DataError: when it cannot be written, or did not arrive as it was sent.
        """

    def begin(self, size: int, upload: str | None, parts: Mapping[int, str]) -> tuple[str, dict[int, str]]:
        """Begin a large object; return the id of what is begun, and the MD5s of parts that are there, by index.

        :param upload: the id of an earlier try that was interrupted, and *parts* what it had sent.
        """

    def write(self, upload: str, part: Part, data: bytes, md5: str) -> None:
        """Write one part; raises as :meth:`put`."""

    def finish(self, upload: str, size: int, sums: Sequence[str]) -> str:
        """Let the object appear, and return its tag; raises as :meth:`put`."""

    def abandon(self, upload: str) -> None:
        """Remove what was begun; what cannot be removed stays."""
