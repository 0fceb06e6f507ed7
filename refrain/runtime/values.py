"""Values of metrics: from what scripts hold (numbers, text, numpy scalars) to what JSON and every reader know."""

from __future__ import annotations

import warnings
from types import GeneratorType

from refrain.runtime.errors import UserErrorException

TYPE_CHECKING = False  # importing typing would cost more than all of this module
if TYPE_CHECKING:
    from typing import Union

    Scalar = Union[bool, int, float, str, None]

_UNKNOWN = object()
_PLAIN = (bool, int, float, str, type(None))


def loose_scalar(value: object, metric: str) -> Scalar:
    """Turn *value* into a scalar; what has no scalar form is written as its ``repr``, with a warning.

    :raises UserErrorException: for a list, a range or a generator.
    """
    if isinstance(value, (list, range, GeneratorType)):
        raise UserErrorException(
            f"Metric '{metric}' got a {type(value).__name__}, but it takes one value. "
            f"Log several with run.log_list('{metric}', ...) or as columns with run.log_table('{metric}', ...)."
        )
    plain = _plain(value)
    if plain is not _UNKNOWN:
        return plain  # type: ignore[return-value]  # the sentinel is the only other thing it returns
    warnings.warn(
        f"Metric '{metric}' got a {type(value).__name__}, which is neither a number nor text: its repr is logged. "
        "Convert it with float(...) or str(...).",
        stacklevel=4,
    )
    return repr(value)


def strict_scalar(value: object, metric: str) -> Scalar:
    """Turn one element of a list or a table into a scalar.

    :raises UserErrorException: for anything that is not a bool, int, float, str, None or a scalar of numpy.
    """
    plain = _plain(value)
    if plain is _UNKNOWN:
        raise UserErrorException(
            f"Metric '{metric}' got a {type(value).__name__} as an element. "
            "Elements are bool, int, float, str or None: convert it with float(...) or str(...)."
        )
    return plain  # type: ignore[return-value]  # as above


def _plain(value: object) -> object:
    """Return *value* as a builtin scalar, or ``_UNKNOWN``."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str.__str__(value)  # the text itself, whatever a subclass (an enum) says of itself
    return _unwrapped(value)


def _unwrapped(value: object) -> object:
    """Ask an array library's scalar for its content: ``item()`` (numpy, torch, jax), else ``numpy()`` (tensorflow)."""
    unwrap = getattr(value, "item", None) or getattr(value, "numpy", None)
    if unwrap is None or isinstance(value, type):
        return _UNKNOWN
    try:
        inner = unwrap()
        if type(inner) is not type(value):
            return _plain(inner)
        # numpy's long double unwraps to itself
        return float(value) if value.dtype.kind == "f" else _UNKNOWN  # type: ignore[arg-type, attr-defined]
    except (AttributeError, RuntimeError, TypeError, ValueError):  # several elements, or something else altogether
        return _UNKNOWN
