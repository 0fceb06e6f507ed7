"""DataIdentity: what makes two looks at one dataset the same, a setting of the workspace."""

from __future__ import annotations

from enum import Enum

from refrain.errors import UserError, known
from refrain.storage.registry import Registry

_KIND = "settings"
_NAME = "data-identity"


class DataIdentity(str, Enum):
    """What counts of data that comes from outside of a pipeline."""

    CONTENT = "content"  # its bytes: a file that changes under its path makes the steps that read it run
    DEFINITION = "definition"  # where it is said to be: Azure ML's rule, which never looks at the bytes


def data_identity(registry: Registry) -> DataIdentity:
    """Return the workspace's setting, :attr:`DataIdentity.CONTENT` unless it was set."""
    return registry.read(_KIND, _NAME, lambda record: DataIdentity(record["value"])) or DataIdentity.CONTENT


def set_data_identity(registry: Registry, value: str) -> None:
    """Change the workspace's setting.

    :raises UserError: for another word than ``content`` and ``definition``.
    """
    words = [member.value for member in DataIdentity]
    if value not in words:
        raise UserError(f"Unknown data identity {value!r}. Known: {known(words)}.")
    registry.add(_KIND, _NAME, {"schema": 1, "value": DataIdentity(value).value})
