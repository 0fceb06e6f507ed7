"""Answer: what a command has to say, as text for people and as one document for programs."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from typing import Any

from refrain.values import dataclass

OK = 0
FAILED = 1
WRONG_USE = 2
DEBUG_VARIABLE = "REFRAIN_DEBUG"


@dataclass(frozen=True)
class Answer:
    """The end of a command. ``lines`` go to standard output, or with ``--json`` the document instead."""

    document: Mapping[str, Any]
    lines: tuple[str, ...] = ()
    exit_code: int = OK


def say(text: str) -> None:
    """Say something on standard error, which may be a terminal that is gone by now."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr)


def say_where(error: BaseException) -> None:
    """Say on standard error where an error was raised, for those who set ``REFRAIN_DEBUG=1``."""
    if os.environ.get(DEBUG_VARIABLE) == "1":
        import traceback

        traceback.print_exception(error)
