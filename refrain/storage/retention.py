"""Retention: which runs a workspace keeps, a setting of the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from refrain.errors import UserError
from refrain.storage.registry import Registry
from refrain.values import dataclass

DEFAULT_GRACE_DAYS = 7.0

_KIND = "settings"
_NAME = "retention"
_SCHEMA = 1
_DAY = 24 * 3600.0


@dataclass(frozen=True)
class Retention:
    """The limits that a run must be within to stay; without one, every run stays.

    :param days: it ended no longer ago than this.
    :param runs: it is among the latest of its pipeline, as many as this.
    :param bytes: it is among the latest whose outputs together have no more bytes than this.
    :param grace_days: whatever was written within this time stays. It must be longer than the longest run.
    :raises UserError: for a number below 0, or below 1 for *runs*.
    """

    days: float | None = None
    runs: int | None = None
    bytes: int | None = None
    grace_days: float = DEFAULT_GRACE_DAYS

    def __post_init__(self) -> None:
        for name, least in (("days", 0), ("runs", 1), ("bytes", 0), ("grace_days", 0)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise UserError(f"Retention: {name} must be {least} or more, not {value}.")

    @property
    def grace(self) -> float:
        """The grace period, in seconds."""
        return self.grace_days * _DAY

    @property
    def is_unlimited(self) -> bool:
        """Say whether every run stays."""
        return self.days is None and self.runs is None and self.bytes is None

    def is_outdated(self, age: float) -> bool:
        """Say whether a run of this age, in seconds, is too old."""
        return self.days is not None and age > self.days * _DAY


def retention(registry: Registry) -> Retention:
    """Return the workspace's setting; unless it was set, every run stays."""
    return registry.read(_KIND, _NAME, _parse) or Retention()


def set_retention(registry: Registry, wanted: Retention) -> None:
    """Change the workspace's setting."""
    record: dict[str, Any] = {"schema": _SCHEMA, **asdict(wanted)}
    registry.add(_KIND, _NAME, record)


def _parse(record: Mapping[str, Any]) -> Retention:
    return Retention(**{name: record[name] for name in ("days", "runs", "bytes", "grace_days")})
