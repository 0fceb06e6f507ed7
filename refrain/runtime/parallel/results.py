"""Results: how what run() returns is counted, and how it is written."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def is_counted(result: Any) -> bool:
    """Say whether *result* is of a type whose elements count: a DataFrame, a list, a tuple or a numpy array."""
    return isinstance(result, (list, tuple)) or _is(result, "pandas", "DataFrame") or _is_array(result)


def rows_of(result: Any) -> bytes:
    """Return the lines for the file of results: ``str(element)`` each; of a DataFrame, its rows.

    Values are separated by spaces there, and quoted where they hold one; there is neither a header nor an index.
    """
    if _is(result, "pandas", "DataFrame"):
        text: str = result.to_csv(sep=" ", header=False, index=False)
    else:
        text = "".join([f"{element}\n" for element in result])
    return text.encode("utf-8", "surrogateescape")


def _is_array(result: Any) -> bool:
    return _is(result, "numpy", "ndarray") and result.ndim > 0


def _is(value: Any, module: str, name: str) -> bool:
    """Say whether *value* is of a class of a package, which nobody has loaded if it is not."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name))
