"""Duration: seconds as people read them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return seconds in words that fit their size: ``0.4 s``, ``12.3 s``, ``3m 20s``, ``2h 05m``, ``3d 04h``."""
    if round(seconds, 1) < 60:
        return f"{max(seconds, 0.0):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minutes:02d}m"
    return f"{hours // 24}d {hours % 24:02d}h"
