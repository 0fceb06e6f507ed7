"""Spark and Java, as far as they are a part of an environment: which versions a step's process would start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import refrain
from refrain.environments.interpreter import InterpreterIdentity
from refrain.environments.specification import SPARK_VARIABLES, EnvironmentSpec
from refrain.errors import UserError

_LAUNCHER = Path(str(refrain.__file__)).parent / "runtime" / "spark_submit.py"
_LINES = {"apache-spark": "spark", "java-runtime": "java"}
_SECONDS = 60


def with_spark(
    identity: InterpreterIdentity, environment: EnvironmentSpec, variables: Mapping[str, str]
) -> InterpreterIdentity:
    """Return the identity of an interpreter together with the versions of the Spark and the Java that it would start.

    :param variables: what the compute target says of them.
    :raises UserError: when one of them is not there, saying where it was looked for and what to do.
    """
    declared = dict(environment.variables)
    if environment.packages is None:
        found = describe(identity.path, declared, variables)
    else:  # which may have to be built yet
        is_in_it = "SPARK_HOME" not in _told(declared, variables)
        found = describe(sys.executable, declared, variables, _pyspark(identity.packages) if is_in_it else "")
    lines = {f"{name}=={found[key]}" for name, key in _LINES.items() if key in found}
    return replace(identity, packages=tuple(sorted({*identity.packages, *lines})))


def _pyspark(packages: Iterable[str]) -> str:
    """Return the version of pyspark that an environment will have."""
    versions = [version for name, _, version in (line.partition("==") for line in packages) if name == "pyspark"]
    if not versions:
        raise UserError(
            "The step's environment has no pyspark among its packages, so that it cannot start Spark. Add it: "
            "conda_dependencies.add_pip_package('pyspark')."
        )
    return versions[0]


def describe(
    interpreter: str, declared: Mapping[str, str], variables: Mapping[str, str], pyspark: str = ""
) -> dict[str, Any]:
    """Return versions and folders of Spark and Java; empty where a Spark Connect server does the work.

    :param declared: the variables that a step declares.
    :param pyspark: the version of another interpreter's, which is not there yet.
    :raises UserError: when one of them is not there.
    """
    return dict(_ask(interpreter, tuple(sorted(_told(declared, variables).items())), pyspark))


def _told(declared: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the launcher goes by: the step's rule over the machine's, the target's over both."""
    names = (*SPARK_VARIABLES, "HOME", "PATH")
    return {name: os.environ[name] for name in names if name in os.environ} | dict(declared) | dict(variables)


@lru_cache
def _ask(interpreter: str, variables: tuple[tuple[str, str], ...], pyspark: str) -> tuple[tuple[str, Any], ...]:
    """Ask the launcher itself, in the step's own interpreter, so that what counts is what will be started."""
    argv = [interpreter, "-E", str(_LAUNCHER), "--describe", *([pyspark] if pyspark else [])]
    try:
        done = subprocess.run(
            argv, capture_output=True, timeout=_SECONDS, text=True, cwd="/", env=dict(variables), check=False
        )
        answer = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise UserError(f"The interpreter {interpreter!r} cannot say which Spark it has: {error}.") from error
    if answer is None:
        raise UserError(done.stderr.strip().removeprefix("spark: "))
    return tuple(answer.items())
