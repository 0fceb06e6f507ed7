"""Local measurements: import, the overhead of a step, a rerun in which nothing has changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.clock import Cost, alternating, cost_of
from bench.row import Row

_NOTHING = "pass\n"
_STEPS_ALONE = 20
_STEPS_UNCHANGED = 1000

_RUN = """
import sys
from refrain import Pipeline, PipelineData, PythonScriptStep, RunConfiguration, StepSequence, Workspace
count, reuse, folder = int(sys.argv[1]), sys.argv[2] == "reuse", sys.argv[3]
config = RunConfiguration()
if sys.argv[2] == "environment":
    config.environment.python.conda_dependencies.set_python_version("%d.%d" % sys.version_info[:2])
ws = Workspace(folder + "/workspace")
steps = []
for number in range(count):
    data = PipelineData(f"data_{number}")
    steps.append(PythonScriptStep("write.py", name=f"step_{number}", source_directory=folder + "/source",
        arguments=[data, number], outputs=[data], allow_reuse=reuse, runconfig=config))
from refrain.pipelines.local import run_pipeline
pipeline = Pipeline(ws, steps=steps if reuse else [StepSequence(steps)], name="bench")
run_pipeline(pipeline, {}, jobs=None if reuse else 1)
"""

_FLOOR = """
import subprocess, sys
count, folder = int(sys.argv[1]), sys.argv[3]
for number in range(count):
    command = [sys.executable, "write.py", f"{folder}/out_{number}", str(number)]
    subprocess.run(command, cwd=folder + "/source", check=True)
"""

_WRITE = "import sys\nopen(sys.argv[1], 'w').write('x' * 1000 + sys.argv[2])\n"


def rows(folder: Path) -> list[Row]:
    """Measure everything local in an empty folder."""
    (folder / "source").mkdir(parents=True)
    (folder / "source" / "write.py").write_text(_WRITE)
    environment = {**os.environ, "REFRAIN_CACHE": str(folder / "cache")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return [
        _import(environment),
        _overhead(folder, environment, "one step, start to end", "never", 25),
        _overhead(folder, environment, "one step in a cached environment", "environment", 60),
        _unchanged(folder, environment),
    ]


def _import(environment: Mapping[str, str]) -> Row:
    heavy = "assert not {'airflow', 'pandas', 'sqlalchemy', 'pyspark'} & set(sys.modules)"
    command = [sys.executable, "-c", f"import sys, refrain; {heavy}"]
    ours, peer = alternating(
        lambda: cost_of(command, environment), lambda: cost_of([sys.executable, "-c", _NOTHING], environment), 11
    )
    figure = (ours.cpu - peer.cpu) * 1000
    return Row("import refrain", ours.cpu * 1000, peer.cpu * 1000, "ms CPU", "bare Python", figure, 100)


def _overhead(folder: Path, environment: Mapping[str, str], name: str, mode: str, goal: float) -> Row:
    """The start of a step over a bare ``subprocess.run`` of its script: in a long run, per step."""

    def run(code: str, count: int) -> Cost:
        return cost_of([sys.executable, "-c", code, str(count), mode, str(folder)], environment)

    run(_RUN, 1)  # what is kept for later runs, is there
    one, floor_one = alternating(lambda: run(_RUN, 1), lambda: run(_FLOOR, 1), 5)
    many, floor_many = alternating(lambda: run(_RUN, 1 + _STEPS_ALONE), lambda: run(_FLOOR, 1 + _STEPS_ALONE), 5)
    ours = (many.wall - one.wall) / _STEPS_ALONE * 1000
    peer = (floor_many.wall - floor_one.wall) / _STEPS_ALONE * 1000
    return Row(name, ours, peer, "ms wall", "subprocess.run", ours - peer, goal)


def _unchanged(folder: Path, environment: Mapping[str, str]) -> Row:
    command = [sys.executable, "-c", _RUN, str(_STEPS_UNCHANGED), "reuse", str(folder)]
    cost_of(command, environment)
    cost_of(command, environment)  # what was written a moment ago is read once more
    ours, peer = alternating(
        lambda: cost_of(command, environment), lambda: cost_of([sys.executable, "-c", _NOTHING], environment), 5
    )
    return Row("1,000 unchanged steps", ours.cpu, peer.cpu, "s CPU", "bare Python", ours.cpu, 1.0)
