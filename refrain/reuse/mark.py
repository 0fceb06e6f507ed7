"""Mark: a keyed hash under a reuse record, by which readers know that a trusted writer stored it.

Who may write to a store may put a record there. Where more people may write than should be believed, writers and
readers share a key: records without its mark are then misses.
"""

from __future__ import annotations

import os

from refrain.errors import CorruptObjectError, UserError
from refrain.storage.connections import connection
from refrain.values import dataclass

KEY_VARIABLE = "REFRAIN_RECORD_KEY"
CONNECTION_VARIABLE = "REFRAIN_RECORD_KEY_CONN_ID"
_FEWEST_CHARACTERS = 16
_HEAD = b"\nmark:"
_LENGTH = len(_HEAD) + 64  # hexadecimal digits of a SHA-256


@dataclass(frozen=True, repr=False)
class RecordKey:
    """The key that marks records; an empty one marks nothing and believes everything that the store returns."""

    secret: bytes = b""

    def marked(self, content: bytes) -> bytes:
        """Return a record as it is stored."""
        return content + _HEAD + self._mark(content) if self.secret else content

    def unmarked(self, stored: bytes, fingerprint: str) -> bytes:
        """Return the record that was stored.

        :raises CorruptObjectError: when there is a key, and the record does not carry its mark.
        """
        is_marked = stored[-_LENGTH:].startswith(_HEAD)
        content = stored[:-_LENGTH] if is_marked else stored
        if self.secret and not (is_marked and _are_equal(self.marked(content), stored)):
            raise CorruptObjectError(
                f"The reuse record {fingerprint} does not carry the mark of this reader's {KEY_VARIABLE}: "
                f"{'another key made its mark' if is_marked else 'it was written without the key'}."
            )
        return content

    def __repr__(self) -> str:
        return "RecordKey(***)" if self.secret else "RecordKey()"

    def _mark(self, content: bytes) -> bytes:
        import hmac

        return hmac.new(self.secret, content, "sha256").hexdigest().encode()


def _are_equal(one: bytes, other: bytes) -> bool:
    import hmac

    return hmac.compare_digest(one, other)


def record_mark_key() -> RecordKey:
    """Return the key that ``REFRAIN_RECORD_KEY`` holds, or the password of ``REFRAIN_RECORD_KEY_CONN_ID``; else none.

    :raises UserError: when it is too short to keep anybody out.
    :raises UnknownNameError: when there is no such connection.
    """
    text, conn_id = os.environ.get(KEY_VARIABLE, ""), os.environ.get(CONNECTION_VARIABLE, "")
    if not text and conn_id:
        text = connection(conn_id).password
    if (text or conn_id) and len(text) < _FEWEST_CHARACTERS:
        named = f"The password of connection {conn_id!r}" if conn_id else KEY_VARIABLE
        raise UserError(f"{named} has {len(text)} characters; a key needs {_FEWEST_CHARACTERS} at least, at random.")
    return RecordKey(text.encode())
