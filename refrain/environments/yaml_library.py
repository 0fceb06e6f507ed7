"""The library that reads and writes YAML, which only an extra brings."""

from __future__ import annotations

from typing import Any

from refrain.errors import UserError


def yaml_library() -> Any:
    """Return PyYAML.

    :raises UserError: where it is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise UserError("Reading and writing YAML needs PyYAML: pip install 'refrain[environments]'.") from error
    return yaml
