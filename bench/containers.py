"""The start of a step in a container, beside ``docker run`` of the same command: in a long run, per step."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.clock import alternating, cost_of
from bench.row import Row

_STEPS = 6
_ROUNDS = 3
_RATIO = 1.15

_WRITE = "import sys\nopen(sys.argv[1], 'w').write('x' * 1000 + sys.argv[2])\n"

_RUN = """
import sys
from refrain import Pipeline, PipelineData, PythonScriptStep, StepSequence, Workspace
from refrain.pipelines.local import run_pipeline
folder, count = sys.argv[1], int(sys.argv[2])
steps = []
for number in range(count):
    data = PipelineData(f"data_{number}")
    steps.append(PythonScriptStep("write.py", name=f"step_{number}", source_directory=folder + "/source",
        arguments=[data, number], outputs=[data], allow_reuse=False, compute_target="box"))
run_pipeline(Pipeline(Workspace(folder + "/workspace"), [StepSequence(steps)], name="bench"), {}, jobs=1)
"""

_FLOOR = """
import os, subprocess, sys
folder, count, image, address = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
run = ["docker", "--host", address, "run", "--rm", "--init", "--network", "none",
    "--user", f"{os.getuid()}:{os.getgid()}", "--volume", f"{folder}:{folder}",
    "--workdir", f"{folder}/source", image, "python", "write.py"]
for number in range(count):
    subprocess.run([*run, f"{folder}/out_{number}", str(number)], check=True)
"""


def rows(folder: Path) -> list[Row]:
    """Measure in an empty folder; nothing, with the reason, where there is no Docker engine."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))  # as pytest does
    import pytest

    from fakes.docker_engine import DockerEngine

    with ExitStack() as stack:
        try:
            engine = stack.enter_context(DockerEngine.start())
        except pytest.skip.Exception as missing:
            print(f"containers: {missing}")
            return []
        return [_overhead(folder, engine)]


def _overhead(folder: Path, engine: Any) -> Row:
    from refrain import Workspace

    (folder / "source").mkdir(parents=True)
    (folder / "source" / "write.py").write_text(_WRITE)
    engine.target(Workspace(str(folder / "workspace")).state)
    environment = {**os.environ, "REFRAIN_CACHE": str(folder / "cache")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def seconds(code: str, *words: str) -> Any:
        def measure(count: int) -> Any:
            return cost_of([sys.executable, "-c", code, str(folder), str(count), *words], environment)

        return measure

    ours, floor = seconds(_RUN), seconds(_FLOOR, engine.image, engine.address)
    one, floor_one = alternating(lambda: ours(1), lambda: floor(1), _ROUNDS)
    many, floor_many = alternating(lambda: ours(1 + _STEPS), lambda: floor(1 + _STEPS), _ROUNDS)
    step = (many.wall - one.wall) / _STEPS * 1000
    peer = (floor_many.wall - floor_one.wall) / _STEPS * 1000
    return Row("one step in a container", step, peer, "ms wall", "docker run", step / peer, _RATIO)
