"""Measurements on Airflow: parsing a large pipeline, and a step beside a BashOperator."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bench.clock import alternating, cost_of
from bench.row import Row
from refrain_operators.embedded import EmbeddedAirflow
from refrain_operators.rest import AirflowClient

_STEPS = 200
_TASKS = 20
_TICKS = os.sysconf("SC_CLK_TCK")

_PARSE = """
import sys, time
from airflow.sdk import DAG
from refrain import Pipeline, PipelineData, PythonScriptStep, Workspace
begun = time.process_time()
from refrain_operators import pipeline_dag
count, folder = int(sys.argv[1]), sys.argv[2]
before, steps = None, []
for number in range(count):
    data = PipelineData(f"data_{number}")
    steps.append(PythonScriptStep("write.py", name=f"step_{number}", source_directory=folder, arguments=[data],
        outputs=[data], inputs=[before] if before else []))
    before = data
dag = pipeline_dag(Pipeline(Workspace(folder + "/workspace"), steps=steps, name="bench"), dag_id="bench")
assert len(dag.tasks) == count
print(time.process_time() - begun)
"""

_DAG = '''
"""An Airflow DAG for measuring."""
from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator
from refrain import PipelineData
from refrain_operators import PythonScriptOperator

with DAG("bench_bash"):
    for number in range({tasks}):
        BashOperator(task_id=f"task_{{number}}", bash_command="{python} {source}/write.py /dev/null {{{{ run_id }}}}")

with DAG("bench_steps"):
    for number in range({tasks}):
        data = PipelineData("data")
        PythonScriptOperator(task_id=f"task_{{number}}", script_name="write.py", source_directory="{source}",
                             arguments=[data, number], outputs=[data], allow_reuse=False)
'''


def rows(folder: Path) -> list[Row]:
    """Measure everything on Airflow in an empty folder."""
    source = folder / "source"
    source.mkdir(parents=True)
    (source / "write.py").write_text("import sys\nopen(sys.argv[1], 'w').write(sys.argv[2])\n")
    environment = {**os.environ, "REFRAIN_CACHE": str(folder / "cache"), "AIRFLOW_HOME": str(folder / "parse")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return [_parse(source, environment), _operator(folder, source)]


def _parse(source: Path, environment: Mapping[str, str]) -> Row:
    def cost(count: int) -> list[str]:
        return [sys.executable, "-c", _PARSE, str(count), str(source)]

    ours, peer = alternating(lambda: cost_of(cost(_STEPS), environment), lambda: cost_of(cost(0 + 1), environment), 3)
    figure = ours.cpu - peer.cpu
    return Row("a DAG file of 200 steps", ours.cpu, peer.cpu, "s CPU", "a DAG file of 1 step", figure, 0.5)


def _operator(folder: Path, source: Path) -> Row:
    dags = folder / "dags"
    dags.mkdir()
    (dags / "bench.py").write_text(_DAG.format(tasks=_TASKS, python=sys.executable, source=source))
    environment = {"REFRAIN_WORKSPACE": str(folder / "workspace"), "REFRAIN_CACHE": str(folder / "cache")}
    with EmbeddedAirflow(folder / "home", dags_folder=dags, port=0, environment=environment) as airflow:
        client = airflow.client()
        for dag_id in ("bench_bash", "bench_steps"):
            client.wait_for_dag(dag_id, timeout=120, filename="bench.py")
            client.unpause(dag_id)
        for dag_id in ("bench_bash", "bench_steps"):
            _cpu_of_run(client, dag_id, airflow.home.path)  # the first run of each warms caches
        pairs = [
            tuple(_cpu_of_run(client, dag_id, airflow.home.path) for dag_id in ("bench_steps", "bench_bash"))
            for _ in range(3)
        ]
    ours, peer = (sorted(p[i] for p in pairs)[1] / _TASKS * 1000 for i in (0, 1))
    return Row("a step on Airflow", ours, peer, "ms CPU", "BashOperator", ours - peer, 150)


def _cpu_of_run(client: AirflowClient, dag_id: str, home: Path) -> float:
    """Return the CPU seconds of all of Airflow's processes during one run of a DAG, less what they use when idle."""
    before, begun = _cpu(home), time.monotonic()
    run = client.trigger(dag_id)
    client.wait_for_run(dag_id, run["dag_run_id"], timeout=300)
    time.sleep(1)  # for the processes of the last tasks to be waited for
    used, took = _cpu(home) - before, time.monotonic() - begun
    idle_before, idle_begun = _cpu(home), time.monotonic()
    time.sleep(4)
    idle = (_cpu(home) - idle_before) / (time.monotonic() - idle_begun)
    return used - idle * took


def _cpu(home: Path) -> float:
    """Sum up the CPU seconds of the processes of this Airflow, the ended children that they waited for included."""
    mark = f"AIRFLOW_HOME={home}".encode()
    total = 0
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                fields = (process / "stat").read_bytes().rpartition(b")")[2].split()
                total += sum(int(field) for field in fields[11:15])
        except OSError:
            continue
    return total / _TICKS
