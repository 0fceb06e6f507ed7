"""The engine's side of what scripts ask."""

from pathlib import Path
from typing import Any

from refrain.errors import UserError
from refrain.runtime.questions import ask
from refrain.tracking.questions import Document, answered


def answer(question: Document) -> Document:
    if question["ask"] == "user":
        raise UserError("not so")
    return {"answer": 10 / question["by"]}


def asked(folder: Path, **question: Any) -> Any:
    with answered(folder, answer):
        return ask(str(folder), question)


def test_a_question_is_answered_while_the_block_runs(tmp_path: Path) -> None:
    assert asked(tmp_path, schema=1, ask="share", by=4) == {"answer": 2.5}


def test_an_error_is_an_answer_whatever_it_is(tmp_path: Path) -> None:
    assert asked(tmp_path, schema=1, ask="user")["error"] == {"type": "UserError", "message": "not so"}
    error = asked(tmp_path, schema=1, ask="share", by=0)["error"]
    assert error["message"] == "The engine could not answer: ZeroDivisionError: division by zero"


def test_a_newer_question_is_refused(tmp_path: Path) -> None:
    error = asked(tmp_path, schema=2, ask="share")["error"]
    assert error["message"] == "The engine understands questions of schema 1, this one has schema 2. Use one Refrain."
