"""Spark and Java, as far as they are a part of an environment: which versions a step's process would start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import refrain
from refrain.environments.interpreter import InterpreterIdentity
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import UserError

FROM_THE_MACHINE = (
    "JAVA_HOME", "SPARK_HOME", "SPARK_CONF_DIR", "SPARK_LOCAL_DIRS", "SPARK_LOCAL_IP",
    "HADOOP_CONF_DIR", "YARN_CONF_DIR", "KUBECONFIG",
)  # fmt: skip
"""Variables that tell a Spark step where Spark, Java and the cluster are. Of what they lead to the versions count."""

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
    packages = dict(line.partition("==")[::2] for line in identity.packages)
    built = "" if environment.packages is None else _require_pyspark(packages)
    found = describe(identity.path if not built else sys.executable, dict(environment.variables), variables, built)
    lines = {f"{name}=={found[key]}" for name, key in _LINES.items() if key in found}
    return replace(identity, packages=tuple(sorted({*identity.packages, *lines})))


def _require_pyspark(packages: Mapping[str, str]) -> str:
    """Return the version of pyspark that an environment will have, which may have to be built yet."""
    if "pyspark" not in packages:
        raise UserError(
            "The step's environment has no pyspark among its packages, so that it cannot start Spark. Add it: "
            "conda_dependencies.add_pip_package('pyspark')."
        )
    return packages["pyspark"]


def describe(
    interpreter: str, declared: Mapping[str, str], variables: Mapping[str, str], pyspark: str = ""
) -> dict[str, Any]:
    """Return versions and folders of Spark and Java; empty where a Spark Connect server does the work.

    :param declared: the variables that a step declares.
    :param pyspark: the version of another interpreter's, which is not there yet.
    :raises UserError: when one of them is not there.
    """
    names = (*FROM_THE_MACHINE, "HOME", "PATH")
    found = {name: os.environ[name] for name in names if name in os.environ} | dict(declared) | dict(variables)
    return dict(_ask(interpreter, tuple(sorted(found.items())), pyspark))


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
