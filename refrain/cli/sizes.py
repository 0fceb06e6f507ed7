"""Sizes: numbers of bytes as people write them."""

from __future__ import annotations


def size(count: int) -> str:
    """Return a number of bytes in the unit that leaves it short: ``0 B``, ``1.4 MB``."""
    shown = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if shown < 1000:
            return f"{shown:.0f} {unit}" if unit == "B" else f"{shown:.1f} {unit}"
        shown /= 1000
    return f"{shown:.1f} TB"
