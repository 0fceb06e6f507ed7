"""A Spark and a Java that are nothing but their versions: spark-submit runs the script, without an application."""

from __future__ import annotations

import sys
from pathlib import Path

_SUBMIT = f"""#!{sys.executable}
import os, sys
words = sys.argv[1:]
while words[0].startswith("--"):
    print("option", *words[:2], flush=True)
    words = words[2:]
python = os.environ["PYSPARK_DRIVER_PYTHON"]
os.execv(python, [python, *words])
"""


def spark_home(folder: Path, version: str = "4.3.0") -> Path:
    (folder / "jars").mkdir(parents=True)
    (folder / "jars" / f"spark-core_2.13-{version}.jar").touch()
    return _program(folder, "spark-submit", _SUBMIT)


def java_home(folder: Path, version: str, *, says: bool = True) -> Path:
    """:param says: whether its release file tells the version; else only the program does."""
    _program(folder, "java", f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    if says:
        (folder / "release").write_text(f'IMPLEMENTOR="X"\nJAVA_VERSION="{version}"\n')
    return folder


def _program(folder: Path, name: str, text: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / name).write_text(text)
    (folder / "bin" / name).chmod(0o755)
    return folder
