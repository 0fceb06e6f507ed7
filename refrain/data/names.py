"""The rules for names of inputs, outputs, parameters and models."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from itertools import count

from refrain.errors import UserError

_PORT = re.compile(r"\w+", re.ASCII)
_DATASET = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MODEL = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-._]{0,254}")  # Azure ML's rule
_USED = frozenset({"path", "ld_library_path", "user", "logname", "home", "pwd", "shell"})


def port_name(name: object, what: str) -> str:
    """Return *name* if it can name an input or an output: letters, digits and ``_``.

    :raises UserError: otherwise.
    """
    if not isinstance(name, str) or not _PORT.fullmatch(name):
        raise UserError(f"{name!r} is no valid name for {what}: use letters, digits and '_' only.")
    return name


def dataset_name(name: object, what: str) -> str:
    """Return *name* if it can also name an environment variable: a letter or ``_`` comes first.

    A name that usual environment variables have brings a warning: the script cannot read the data's variable.

    :raises UserError: otherwise.
    """
    if not isinstance(name, str) or not _DATASET.fullmatch(name):
        raise UserError(f"{name!r} is no valid name for {what}: start with a letter or '_', then letters, digits, '_'.")
    if name.lower() in _USED:
        warnings.warn(
            f"{name!r} as a name for {what} is also an environment variable of every process; take another name.",
            stacklevel=4,
        )
    return name


def model_name(name: object) -> str:
    """Return *name* if it can be that of a model.

    :raises UserError: otherwise.
    """
    if not isinstance(name, str) or not _MODEL.fullmatch(name):
        raise UserError(
            f"{name!r} is no valid name for a model: use letters, digits, '-', '.' and '_', starting with a letter or "
            "a digit, 255 at most."
        )
    return name


def numbered(names: Sequence[str | None], word: str) -> list[str]:
    """Fill in missing names by position, so that they are the same in every process: ``input_1``, ``input_2``."""
    if None not in names:
        return list(names)  # type: ignore[arg-type]  # as was just said
    taken = set(names)
    filled = []
    for position, name in enumerate(names, 1):
        free = (f"{word}_{number}" for number in count(position) if f"{word}_{number}" not in taken)
        filled.append(next(free) if name is None else name)
        taken.add(filled[-1])
    return filled
