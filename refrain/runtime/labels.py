"""Labels: the keys and values of tags and properties, which are text."""

from __future__ import annotations

import warnings

from refrain.runtime.errors import UserErrorException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping


def as_label(value: object, what: str) -> str | None:
    """Return *value* as text, with a warning where it was something else; None stays None."""
    if value is None or isinstance(value, str):
        return value
    warnings.warn(f"{what} is a {type(value).__name__}; it is stored as text. Write str(...).", stacklevel=4)
    return str(value)


def as_labels(values: Mapping[str, object], what: str) -> dict[str, str | None]:
    """Return *values* with text for keys and values.

    :param what: ``Tag`` or ``Property``, for messages.
    :raises UserErrorException: if *values* is no dict.
    """
    if not isinstance(values, dict):
        raise UserErrorException(
            f"{what} values came as a {type(values).__name__}. Give a dict of texts, as in {{'stage': 'test'}}."
        )
    return {str(key): as_label(value, f"{what} '{key}'") for key, value in values.items()}
