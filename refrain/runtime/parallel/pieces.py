"""Pieces: the part of Refrain that knows tables, in the step's interpreter."""

from __future__ import annotations

from importlib import import_module

from refrain.runtime.errors import RunEnvironmentException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def pieces() -> Any:
    """Return the module that cuts tables and makes data frames of the pieces.

    :raises RunEnvironmentException: if the step's interpreter does not have what it takes.
    """
    try:
        return import_module("refrain.data.pieces")
    except ImportError as error:
        raise RunEnvironmentException(
            f"Mini-batches of a table, partition_keys and mini_batch_context.dataset need Refrain in the step's "
            f"interpreter ({error}). Add 'refrain[tabular]' to the packages of the step's environment."
        ) from error
