"""Questions of a script and their answers, as files in a folder."""

import threading
import time
from pathlib import Path

import pytest

from refrain.runtime.errors import RunEnvironmentException
from refrain.runtime.questions import ask, reply, waiting


def answering(folder: Path, count: int) -> threading.Thread:
    """An engine that answers so many questions with twice the number in them."""

    def serve() -> None:
        left = count
        while left:
            for name, question in waiting(str(folder)):
                reply(str(folder), name, {"double": 2 * question["number"]})
                left -= 1
            time.sleep(0.002)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


def test_everybody_gets_the_answer_to_the_own_question(tmp_path: Path) -> None:
    engine = answering(tmp_path, 20)
    answers: dict[int, int] = {}

    def question(number: int) -> None:
        answers[number] = ask(str(tmp_path), {"number": number})["double"]

    threads = [threading.Thread(target=question, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in (*threads, engine):
        thread.join()
    assert answers == {number: 2 * number for number in range(20)}
    assert list(tmp_path.iterdir()) == []


def test_a_question_that_is_being_written_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "a.question.tmp").write_text('{"number"')
    assert list(waiting(str(tmp_path))) == []


def test_where_nobody_answers_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(RunEnvironmentException, match=r"its folder '.*/gone' is not here\..*among the step's inputs"):
        ask(str(tmp_path / "gone"), {})


def test_an_engine_that_goes_away_leaves_nobody_waiting(tmp_path: Path) -> None:
    folder = tmp_path / "questions"
    folder.mkdir()

    def leave() -> None:
        while not list(waiting(str(folder))):
            time.sleep(0.002)
        folder.rmdir()

    thread = threading.Thread(target=leave)
    thread.start()
    with pytest.raises(RunEnvironmentException, match="cannot be asked"):
        ask(str(folder), {})
    thread.join()
