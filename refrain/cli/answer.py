"""Answer: what a command has to say, as text for people and as one document for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OK = 0
FAILED = 1
WRONG_USE = 2


@dataclass(frozen=True)
class Answer:
    """The end of a command. ``lines`` go to standard output, or with ``--json`` the document instead."""

    document: Mapping[str, Any]
    lines: tuple[str, ...] = ()
    exit_code: int = OK
