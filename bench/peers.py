"""Peers: the same independent steps as other tools write them down, and how each brings all up to date."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PYTHON_VARIABLE = "REFRAIN_TEST_PEERS_PYTHON"
"""Names the Python of a virtual environment with doit, dvc, snakemake and redun; it has nothing to do with ours."""

WORK = "import sys\nopen(sys.argv[1], 'w').write(sys.argv[2] * 10000)\n"
"""Every step's script: writes some kilobytes that depend on its number."""


@dataclass(frozen=True)
class Peer:
    """One tool.

    :param write: writes its description of *count* steps into a folder; the script is there, as ``work.py``.
    :param words: what follows the program on its command line.
    :param begin: words of a command that is needed once, before.
    """

    name: str
    write: Callable[[Path, int, str], None]
    words: tuple[str, ...]
    begin: tuple[str, ...] = ()

    def program(self) -> str | None:
        """Return the path of the tool, or None when it is not there."""
        python = os.environ.get(PYTHON_VARIABLE)
        beside = str(Path(python).parent) if python else os.devnull
        return shutil.which(self.name, path=beside) or (shutil.which("make") if self.name == "make" else None)


def _make(folder: Path, count: int, python: str) -> None:
    outputs = " ".join(f"out_{number}" for number in range(count))
    rule = f"out_%: work.py\n\t{python} work.py $@ $*\n"
    (folder / "Makefile").write_text(f"all: {outputs}\n{rule}")


def _doit(folder: Path, count: int, python: str) -> None:
    (folder / "dodo.py").write_text(f"""
DOIT_CONFIG = {{"verbosity": 0, "reporter": "zero"}}
def task_work():
    for number in range({count}):
        out = f"out_{{number}}"
        yield {{"name": out, "actions": [["{python}", "work.py", out, str(number)]], "file_dep": ["work.py"],
               "targets": [out]}}
""")


def _dvc(folder: Path, count: int, python: str) -> None:
    stages = "".join(
        f"  s{n}:\n    cmd: {python} work.py out_{n} {n}\n    deps: [work.py]\n    outs: [out_{n}]\n"
        for n in range(count)
    )
    (folder / "dvc.yaml").write_text(f"stages:\n{stages}")


def _snakemake(folder: Path, count: int, python: str) -> None:
    (folder / "Snakefile").write_text(f"""
rule all:
    input: expand("out_{{n}}", n=range({count}))
rule work:
    input: "work.py"
    output: "out_{{n}}"
    shell: "{python} work.py {{output}} {{wildcards.n}}"
""")


def _redun(folder: Path, count: int, python: str) -> None:
    (folder / "workflow.py").write_text(f"""
import subprocess
from redun import File, task
redun_namespace = "bench"
@task()
def work(script, number):
    subprocess.run(["{python}", script.path, f"out_{{number}}", str(number)], check=True)
    return File(f"out_{{number}}")
@task()
def main():
    return [work(File("work.py"), number) for number in range({count})]
""")


PEERS = {
    peer.name: peer
    for peer in (
        Peer("make", _make, ("-s", "all")),
        Peer("doit", _doit, ()),
        Peer("dvc", _dvc, ("repro", "-q"), ("init", "--no-scm", "-q")),
        Peer("snakemake", _snakemake, ("--cores", "2", "--quiet")),
        Peer("redun", _redun, ("run", "workflow.py", "main")),
    )
}
