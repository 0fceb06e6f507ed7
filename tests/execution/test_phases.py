"""What runs again, phase by phase, on the two shapes by which build tools are compared: a chain, and independent steps.

The phases are those in which other tools run too much, or say that all is well although it is not.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fakes.project import Project, Ran
from refrain import PipelineData, PythonScriptStep

SCRIPT = """
import sys
number, *paths = sys.argv[1:]
before = open(paths[0]).read() if len(paths) == 2 else ""
open(paths[-1], "w").write(before + number + " ")
"""
COUNT = 4
EDITED = 2


@dataclass
class Work:
    """Four steps that are run again and again."""

    project: Project
    is_chain: bool

    def steps(self) -> list[PythonScriptStep]:
        outs = [PipelineData("out") for _ in range(COUNT)]
        steps = []
        for number, out in enumerate(outs):
            read = [outs[number - 1]] if self.is_chain and number else []
            folder = self.project.folder / "steps" / f"s{number}"
            if not folder.exists():
                self.project.source(f"s{number}", SCRIPT)
            arguments = [str(number), *read, out]
            steps.append(
                PythonScriptStep(
                    f"s{number}.py", f"s{number}", arguments, inputs=read, outputs=[out], source_directory=str(folder)
                )
            )
        return steps

    def run(self) -> Ran:
        return self.project.run(*self.steps())

    @property
    def script(self) -> Path:
        return self.project.folder / "steps" / f"s{EDITED}" / f"s{EDITED}.py"

    def output(self) -> Path:
        """The edited step's output, as a run that reuses everything names it."""
        return self.run().path(f"s{EDITED}", "out")

    def expected(self) -> list[str]:
        own = [f"{number} " for number in range(COUNT)]
        return ["".join(own[: number + 1]) if self.is_chain else own[number] for number in range(COUNT)]


def _nothing(work: Work) -> None:
    pass


def _touch(work: Work) -> None:
    os.utime(work.script, (1, 1))
    work.script.write_bytes(work.script.read_bytes())


def _edit_same(work: Work) -> None:
    work.script.write_text(work.script.read_text() + "# another script that writes the same\n")


def _revert(work: Work) -> None:
    text = work.script.read_text()
    _edit_same(work)
    work.run()
    work.script.write_text(text)


def _delete(work: Work) -> None:
    work.output().unlink()


def _damage(work: Work) -> None:
    path = work.output()
    path.write_text("x" * path.stat().st_size)


PHASES: dict[str, tuple[Callable[[Work], None], list[str]]] = {
    "no-op": (_nothing, []),
    "touch": (_touch, []),
    "edit_same": (_edit_same, [f"s{EDITED}"]),
    "revert": (_revert, []),
    "out_del": (_delete, [f"s{EDITED}"]),
    "out_bad": (_damage, [f"s{EDITED}"]),
}


@pytest.mark.parametrize("is_chain", [True, False], ids=["chain", "wide"])
def test_in_every_phase_only_what_must_run_runs_and_the_data_is_right(project: Project, is_chain: bool) -> None:
    work = Work(project, is_chain)
    cold = work.run()
    assert cold.reused() == []
    wrong = {}
    for phase, (act, must_run) in PHASES.items():
        act(work)
        ran = work.run()
        has_run = sorted(set(ran.heard.decisions) - set(ran.reused()))
        texts = [ran.text(f"s{number}", "out") for number in range(COUNT)]
        if (ran.status, has_run, texts) != ("Completed", must_run, work.expected()):
            wrong[phase] = (ran.status, has_run, texts)
    assert wrong == {}
