"""A database of a test: a way to it by our code, and one beside that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from refrain.storage.sql.address import DatabaseAddress, DatabaseLocation
from refrain.storage.sql.database import Database


@dataclass(frozen=True)
class Bench:
    """A database that is empty at first.

    :param run: carries out statements beside our code; returns the rows of the last.
    """

    product: str
    database: Database
    run: Callable[..., list[tuple[Any, ...]]]


def location(url: str, conn_id: str | None = None) -> DatabaseLocation:
    """A datastore called ``sales``."""
    return DatabaseLocation("sales", DatabaseAddress.parse("sales", url), conn_id)
