"""EnvironmentSpec: the environment of a step as its definition records it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EnvironmentSpec:
    """An existing interpreter, and the environment variables that the step declares.

    :param interpreter: path of a Python interpreter; None means the one that runs Refrain.
    :param uses_spark: the process starts Spark, so that Spark and Java are a part of the environment.
    """

    interpreter: str | None = None
    variables: tuple[tuple[str, str], ...] = ()
    uses_spark: bool = False
