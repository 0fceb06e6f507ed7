"""Documents: JSON that a run keeps whole, such as a confusion matrix or the error of a failed run."""

from __future__ import annotations

import json

from refrain.runtime.errors import UserErrorException
from refrain.runtime.values import strict_scalar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def document_bytes(value: object, name: str, kind: str) -> bytes:
    """Return the JSON of *value*, which is a dict or a string of JSON that holds one.

    :param kind: what the document is, for messages.
    :raises UserErrorException: if it is neither.
    """
    try:
        content = json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise UserErrorException(
            f"The {kind} '{name}' is no JSON ({error}). Give a dict, or json.dumps of one."
        ) from error
    if not isinstance(content, dict):
        raise UserErrorException(
            f"The {kind} '{name}' is a {type(content).__name__}. "
            f"Give a dict with 'schema_type', 'schema_version' and 'data', or its JSON."
        )
    return json.dumps(content, default=lambda item: _plain(item, name)).encode()


def error_document(details: object, code: str | None) -> dict[str, Any]:
    """Return what a failed run keeps as its error: a code, a message, and where an exception came from."""
    error = {"code": code or "UserError"}
    if isinstance(details, BaseException):
        import traceback

        kind = type(details).__name__
        stack = traceback.format_exception(type(details), details, details.__traceback__)
        error["message"] = f"User program failed with {kind}: {details}"
        error.update(debug_type=kind, debug_message=str(details), debug_stack_trace="".join(stack))
    elif details is not None:
        error["message"] = str(details)
    return error


def _plain(item: Any, name: str) -> Any:
    """Arrays become lists, and numpy's scalars numbers."""
    return item.tolist() if hasattr(item, "tolist") else strict_scalar(item, name)
