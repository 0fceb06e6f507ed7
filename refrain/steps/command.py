"""Command: a step's command line, with placeholders where data and parameters go."""

from __future__ import annotations

from refrain.values import dataclass


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
    """The value of a pipeline parameter, as text.

    :param is_counted: False where it decides how the step runs and not what comes of it, whatever the parameter says.
    """

    name: str
    is_counted: bool = True


@dataclass(frozen=True)
class Setting:
    """Text that decides how a step runs and not what comes of it: no part of its fingerprint."""

    text: str


@dataclass(frozen=True)
class UnfinishedPath:
    """A folder that a try which did not end well leaves to the next one of the same work."""


Token = Literal | Interpreter | SparkSubmit | InputPath | OutputPath | ParameterValue | Setting | UnfinishedPath
