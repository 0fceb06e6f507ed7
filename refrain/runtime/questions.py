"""Questions: what a script asks the engine that runs its step, and the answers, as files in one folder.

::

    <folder>/<random>.question    JSON; appears whole
    <folder>/<random>.answer      JSON; appears whole when the question is gone

A folder that both can see is all it takes: no network, no credentials, also from a container.
"""

from __future__ import annotations

import json
import os
import time

from refrain.runtime.errors import RunEnvironmentException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

SCHEMA = 1
_QUESTION = ".question"
_ANSWER = ".answer"
_SHORTEST, _LONGEST = 0.005, 0.02  # seconds between two looks


def ask(folder: str, question: dict[str, Any]) -> dict[str, Any]:
    """Ask the engine and wait for its answer.

    :raises RunEnvironmentException: when there is no engine to ask.
    """
    path = os.path.join(folder, os.urandom(8).hex())
    try:
        _write(path + _QUESTION, {"schema": SCHEMA, **question})
    except OSError as error:
        raise _nobody(folder) from error
    pause = _SHORTEST
    while not os.path.exists(path + _ANSWER):
        if not os.path.isdir(folder):
            raise _nobody(folder)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST)
    return _taken(path + _ANSWER)


def waiting(folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the questions that nobody has taken yet, each with what :func:`reply` is to be given; each comes once."""
    for name in sorted(os.listdir(folder)):
        if name.endswith(_QUESTION):
            yield name[: -len(_QUESTION)], _taken(os.path.join(folder, name))


def reply(folder: str, name: str, answer: dict[str, Any]) -> None:
    """Answer a question."""
    _write(os.path.join(folder, name + _ANSWER), answer)


def _write(path: str, document: dict[str, Any]) -> None:
    with open(path + ".tmp", "w", encoding="utf-8") as stream:
        json.dump(document, stream)
    os.rename(path + ".tmp", path)


def _taken(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as stream:
        document: dict[str, Any] = json.load(stream)
    os.unlink(path)
    return document


def _nobody(folder: str) -> RunEnvironmentException:
    return RunEnvironmentException(
        f"The engine that runs this step cannot be asked: its folder '{folder}' is not here. Ask in the step's own "
        "process on the machine of the engine, or declare what the script needs among the step's inputs."
    )
