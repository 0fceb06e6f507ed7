"""Duration: seconds as people read and write them."""

from __future__ import annotations

import re

from refrain.errors import UserError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


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


def parse_duration(text: str) -> float:
    """Return the seconds behind ``45s``, ``90m``, ``12h``, ``30d`` or ``2w``.

    :raises UserError: for anything else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if found is None:
        raise UserError(f"{text!r} is no length of time; write a number and a unit, such as 90m, 12h or 30d.")
    return float(found[1]) * _UNITS[found[2]]
