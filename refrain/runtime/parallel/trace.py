"""Trace: an exception as texts that travel."""

from __future__ import annotations

import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Dict

    Described = Dict[str, str]

_LINES = 50
_CHARACTERS = 16_384


def described(error: BaseException) -> Described:
    """Return what an exception says, and the end of its traceback, from the user's own code on."""
    try:
        lines = traceback.format_exception(type(error), error, _below_ours(error))
        text = traceback.format_exception_only(type(error), error)[-1].strip()
    except Exception:  # noqa: BLE001  # its own __str__ may be what fails
        return {"text": type(error).__name__, "trace": type(error).__name__}
    return {"text": _cut(text), "trace": _cut("\n".join("".join(lines).splitlines()[-_LINES:]))}


def _below_ours(error: BaseException) -> TracebackType | None:
    """Leave out the frames of the worker, which tell the user nothing."""
    trace = error.__traceback__
    while (
        trace is not None and trace.tb_next is not None and trace.tb_frame.f_globals.get("__package__") == __package__
    ):
        trace = trace.tb_next
    return trace


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"…{text[-_CHARACTERS:]}"
