"""Command: a step's command line, with placeholders where data and parameters go."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Literal:
    """Text that is passed as it is."""

    text: str


@dataclass(frozen=True)
class Interpreter:
    """The Python interpreter of the step's environment."""


@dataclass(frozen=True)
class InputPath:
    """Where the process finds an input."""

    name: str


@dataclass(frozen=True)
class OutputPath:
    """Where the process writes an output."""

    name: str


@dataclass(frozen=True)
class ParameterValue:
    """The value of a pipeline parameter, as text."""

    name: str


@dataclass(frozen=True)
class Uncounted:
    """A word that cannot change the result, such as how many processes work on it."""

    word: Literal | ParameterValue


@dataclass(frozen=True)
class UnfinishedPath:
    """A folder that a try which did not end well leaves to the next one of the same work."""


Word = Literal | Interpreter | InputPath | OutputPath | ParameterValue | UnfinishedPath
Token = Word | Uncounted


def word_of(token: Token) -> Word:
    """Return what stands on the command line, whether it counts or not."""
    return token.word if isinstance(token, Uncounted) else token
