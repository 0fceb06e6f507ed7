"""Questions: the engine's side of what the scripts of its steps ask, see :mod:`refrain.runtime.questions`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from refrain.errors import RefrainError
from refrain.runtime import questions
from refrain.storage.repetition import repeated

_SECONDS = 0.05

Document = Mapping[str, Any]


@contextlib.contextmanager
def answered(folder: Path, answer: Callable[[Document], Document]) -> Iterator[None]:
    """Answer the questions in a folder, which is there, one after the other, while the block runs.

    :param answer: is told a question; the error that it raises is the answer then.
    """

    def look() -> None:
        for name, question in questions.waiting(str(folder)):
            questions.reply(str(folder), name, dict(_answer(question, answer)))

    with repeated(look, _SECONDS, rest=0):
        yield


def _answer(question: Document, answer: Callable[[Document], Document]) -> Document:
    if question.get("schema") != questions.SCHEMA:
        schema = question.get("schema")
        return _error(
            "UserError",
            f"The engine understands questions of schema {questions.SCHEMA}, this one has schema {schema}. "
            "Use one Refrain.",
        )
    try:
        return answer(question)
    except RefrainError as error:
        return _error(type(error).__name__, str(error))
    except Exception as error:  # noqa: BLE001  # whatever it is, the script must not wait for ever
        return _error(type(error).__name__, f"The engine could not answer: {type(error).__name__}: {error}")


def _error(kind: str, message: str) -> Document:
    return {"error": {"type": kind, "message": message}}
