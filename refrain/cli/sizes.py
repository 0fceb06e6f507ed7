"""Sizes: numbers of bytes as people write them."""

from __future__ import annotations

import re

from refrain.errors import UserError

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Z]*)", re.IGNORECASE)


def size(count: int) -> str:
    """Return a number of bytes in the unit that leaves it short: ``0 B``, ``1.4 MB``."""
    shown = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if shown < 1000:
            return f"{shown:.0f} {unit}" if unit == "B" else f"{shown:.1f} {unit}"
        shown /= 1000
    return f"{shown:.1f} TB"


def bytes_of(text: str) -> int:
    """Return the bytes that a text such as ``20GB`` means; a KB has 1000 of them.

    :raises UserError: when it means none.
    """
    match = _SIZE.fullmatch(text.strip())
    unit = match[2].upper() if match else ""
    if match is None or unit not in _UNITS:
        raise UserError(f"{text!r} is no size; write a number with KB, MB, GB or TB, such as 20GB.")
    return int(float(match[1]) * _UNITS[unit])
