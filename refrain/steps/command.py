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
class SparkSubmit:
    """Spark's launcher, between the interpreter and the script.

    :param conf: what the step says of its application, by Spark's keys, sorted.
    """

    conf: tuple[tuple[str, str], ...] = ()


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
class Setting:
    """Text that decides how a step runs and not what comes of it: no part of its fingerprint."""

    text: str


Token = Literal | Interpreter | SparkSubmit | InputPath | OutputPath | ParameterValue | Setting
