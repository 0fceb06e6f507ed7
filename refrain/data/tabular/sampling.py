"""Sampling: a number between 0 and 1 for each row, which only the seed and the row's place decide."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from refrain.errors import UserError

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def salt(seed: int, depth: int) -> int:
    """Return where the numbers begin: equal seeds at different places of a plan must not draw the same rows."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{depth}".encode(), digest_size=8).digest(), "little")


def share(index: int, start: int) -> float:
    """Return the number of one row (SplitMix64: Steele, Lea, Flood, OOPSLA 2014)."""
    mixed = (start + (index + 1) * _STEP) & _MASK
    for shift, factor in _MIX:
        mixed = ((mixed ^ (mixed >> shift)) * factor) & _MASK
    return float(((mixed ^ (mixed >> 31)) >> 11) * 2.0**-53)


def shares(first: int, count: int, start: int) -> Any:
    """Return the numbers of consecutive rows as a numpy array."""
    import numpy as np

    with np.errstate(over="ignore"):
        mixed = np.uint64(start) + (np.arange(first, first + count, dtype=np.uint64) + np.uint64(1)) * np.uint64(_STEP)
        for shift, factor in _MIX:
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def chosen_seed(seed: int | None) -> int:
    """Return *seed*, or one drawn now: it becomes part of the dataset's definition.

    :raises UserError: when it is no integer.
    """
    if seed is None:
        return secrets.randbits(32)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise UserError(f"seed {seed!r} is no integer.")
    return seed


def proportion(value: float, what: str) -> float:
    """Return *value* if it lies between 0 and 1.

    :raises UserError: otherwise.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise UserError(f"{what} {value!r} is not between 0 and 1, as in 0.2.")
    return float(value)


def row_count(value: int, what: str) -> int:
    """Return *value* if it can be a number of rows or files.

    :raises UserError: otherwise.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UserError(f"{what}({value!r}): give a whole number from 0.")
    return value
