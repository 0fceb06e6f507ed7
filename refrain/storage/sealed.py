"""Sealed: a JSON document with a checksum of itself, so that no byte of it is lost or changed unnoticed."""

from __future__ import annotations

import json
from typing import Any

from refrain.errors import CorruptObjectError
from refrain.storage.digest import digest_bytes

_BEGIN, _MIDDLE, _END = b'{"checksum":"', b'","record":', b"}"
_HEAD_LENGTH = len(_BEGIN) + 64 + len(_MIDDLE)


def sealed(payload: str) -> bytes:
    """Return a document, given as JSON, as it is stored."""
    content = payload.encode()
    return _head(content) + content + _END


def is_sealed(content: bytes) -> bool:
    """Say whether something stored begins as what is sealed does; what does not may be older."""
    return content.startswith(_BEGIN)


def unsealed(content: bytes, what: str) -> dict[str, Any]:
    """Return the document that was stored.

    :param what: names it in the message.
    :raises CorruptObjectError: when a byte is not what it was.
    """
    payload = content[_HEAD_LENGTH:-1]
    if content[:_HEAD_LENGTH] != _head(payload) or content[-1:] != _END:
        raise CorruptObjectError(f"{what} is damaged: its checksum does not fit.")
    try:
        document: dict[str, Any] = json.loads(payload.decode())
    except ValueError as error:
        raise CorruptObjectError(f"{what} cannot be read: {error!r}.") from error
    return document


def _head(payload: bytes) -> bytes:
    return _BEGIN + digest_bytes(payload).encode() + _MIDDLE
