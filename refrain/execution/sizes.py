"""Sizes: numbers of bytes in words."""

from __future__ import annotations

import re

from refrain.errors import UserError

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:iB|B)?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def size_text(size: float) -> str:
    """Return a number of bytes as people read it: ``17 B``, ``1.5 MiB``."""
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def bytes_of(text: str, option: str) -> int:
    """Return the number of bytes that a text such as ``5G`` means; a K has 1024 of them.

    :param option: what was given it, for the message.
    :raises UserError: when it means none.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UserError(f"{option} {text!r} is no size; write a number of bytes, or one such as 5G.")
    return int(float(found[1]) * 1024 ** _POWERS[found[2].upper()])
