"""Many runs of one pipeline at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from fakes.project import WRITES, Project, Ran
from refrain import (
    PipelineData,
)


def test_two_runs_at_once_in_one_process_both_succeed_and_leave_one_valid_record(project: Project) -> None:
    steps = [project.step("write", WRITES, [PipelineData("out")]) for _ in range(4)]
    results: list[Ran] = []
    threads = [threading.Thread(target=lambda s=step: results.append(project.run(s))) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [ran.status for ran in results] == ["Completed"] * 4
    assert len(project.reuse_records()) == 1
    assert project.leftovers() == []
    assert project.run(project.step("write", WRITES, [PipelineData("out")])).reused() == ["write"]


def test_two_runs_at_once_in_two_processes_both_succeed_and_leave_one_valid_record(project: Project) -> None:
    code = f"""
from pathlib import Path
from fakes.project import Project, WRITES
from refrain import PipelineData
project = Project(Path({str(project.folder)!r}))
ran = project.run(project.step("write", WRITES, [PipelineData("out")]))
print(ran.status, *ran.outcome.errors.values())
"""
    project.source("write", WRITES)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(3)
    ]
    assert [process.communicate()[0] for process in processes] == ["Completed\n"] * 3
    assert len(project.reuse_records()) == 1
    assert project.leftovers() == []
    assert project.run(project.step("write", WRITES, [PipelineData("out")])).reused() == ["write"]
