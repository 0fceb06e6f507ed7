"""ModelUse: what a step was told of a registered model, or did with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class How(str, Enum):
    """How a step came to use a model."""

    INPUT = "input"  # it is one of its inputs, so that the fingerprint counts it
    ASKED = "asked"  # its script asked for it
    REGISTERED = "registered"  # its script registered it


@dataclass(frozen=True)
class ModelUse:
    """One model in a step's run.

    :param asked: the version that was asked for, a number or ``latest``.
    :param version: the one that it was; 0 when there was none.
    :param digest: of its content; empty when there was none.
    """

    name: str
    asked: int | str
    version: int
    digest: str
    how: How

    def __str__(self) -> str:
        return f"version {self.version} of model {self.name!r}" if self.version else f"model {self.name!r}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**vars(self), "how": self.how.value}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ModelUse:
        """Read it back."""
        return cls(**{**document, "how": How(document["how"])})
