"""Measurements on Airflow: parsing a large pipeline, steps beside a BashOperator, cached runs beside EmptyOperators."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.clock import Cost, alternating, cost_of
from bench.row import Row
from refrain_operators.embedded import EmbeddedAirflow
from refrain_operators.rest import AirflowClient

_STEPS = 200
_TASKS = 20
_CHAIN = 10
_ROUNDS = 5
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
assert len(dag.tasks) == count + 1
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


_CACHED = '''
"""Cached and cold pipelines, with and without a planning task, and the same graphs of tasks that do nothing."""
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, chain
from refrain import Pipeline, PipelineData, PythonScriptStep, Workspace
from refrain_operators import pipeline_dag


def pipeline(name, count, is_chain, **settings):
    before, steps = None, []
    for number in range(count):
        data = PipelineData(f"data_{{number}}")
        steps.append(PythonScriptStep(
            "write.py", name=f"step_{{number}}", source_directory="{source}", arguments=[data, str(number)],
            outputs=[data], inputs=[before] if before and is_chain else [], **settings,
        ))
        before = data
    return Pipeline(Workspace(), steps=steps, name=name)


cached_chain, cached_wide = pipeline("chain", {chain}, True), pipeline("wide", {steps}, False)
cold_chain = pipeline("cold", {chain}, True, allow_reuse=False)
cold_wide = pipeline("cold_wide", 2 * {tasks}, False, allow_reuse=False)
for found, name in ((cached_chain, "cached_chain"), (cold_chain, "cold_chain"), (cold_wide, "cold_wide")):
    globals()[f"{{name}}_planned"] = pipeline_dag(found, dag_id=f"{{name}}_planned")
    globals()[f"{{name}}_unplanned"] = pipeline_dag(found, dag_id=f"{{name}}_unplanned", has_plan=False)
cached_wide_planned = pipeline_dag(cached_wide, dag_id="cached_wide_planned")

with DAG("empty_chain"):
    chain(*[EmptyOperator(task_id=f"step_{{number}}") for number in range({chain})])
with DAG("empty_wide"):
    for number in range({steps}):
        EmptyOperator(task_id=f"step_{{number}}")
with DAG("one_wide"):
    one = PythonOperator(task_id="one", python_callable=print)
    one >> [EmptyOperator(task_id=f"step_{{number}}") for number in range({steps})]
'''


def rows(folder: Path) -> list[Row]:
    """Measure everything on Airflow in an empty folder."""
    source = folder / "source"
    source.mkdir(parents=True)
    (source / "write.py").write_text("import sys\nopen(sys.argv[1], 'w').write(sys.argv[2])\n")
    environment = {**os.environ, "REFRAIN_CACHE": str(folder / "cache"), "AIRFLOW_HOME": str(folder / "parse")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return [_parse(source, environment), _operator(folder, source), *_planned(folder, source)]


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
        costs = _costs(client, ("bench_steps", "bench_bash"), "bench.py", airflow.home.path, 3)
    ours, peer = (_median(costs[dag_id], "cpu") / _TASKS * 1000 for dag_id in ("bench_steps", "bench_bash"))
    return Row("a step on Airflow", ours, peer, "ms CPU", "BashOperator", ours - peer, 150)


def _planned(folder: Path, source: Path) -> list[Row]:
    """Compare runs with a planning task in one session of the same servers."""
    dags = folder / "planned"
    dags.mkdir()
    texts = {"source": source, "chain": _CHAIN, "steps": _STEPS, "tasks": _TASKS}
    (dags / "cached.py").write_text(_CACHED.format(**texts))
    environment = {"REFRAIN_WORKSPACE": str(folder / "planned-workspace"), "REFRAIN_CACHE": str(folder / "cache")}
    for name in ("cached_chain", "cached_wide"):  # once, so that everything is cached; Airflow would take minutes
        command = [sys.executable, "-m", "refrain.cli", "run", f"{dags / 'cached.py'}:{name}"]
        subprocess.run(command, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)
    names = ("cached_chain_planned", "cached_chain_unplanned", "empty_chain", "cached_wide_planned", "empty_wide",
             "one_wide")  # fmt: skip
    cold = tuple(f"cold_{shape}_{kind}" for shape in ("chain", "wide") for kind in ("planned", "unplanned"))
    with EmbeddedAirflow(folder / "planned-home", dags_folder=dags, port=0, environment=environment) as airflow:
        costs = _costs(airflow.client(), (*names, *cold), "cached.py", airflow.home.path, _ROUNDS)
    comparisons = [
        ("a cached chain of 10", "cached_chain_planned", "empty_chain", "10 EmptyOperators", 1.0),
        ("a cached chain of 10 (2)", "cached_chain_planned", "cached_chain_unplanned", "each task decides", 1.0),
        ("200 cached steps", "cached_wide_planned", "empty_wide", "200 EmptyOperators", 2.0),
        ("200 cached steps (2)", "cached_wide_planned", "one_wide", "a task before these", 1.0),
        ("a cold chain of 10", "cold_chain_planned", "cold_chain_unplanned", "no planning task", 1.05),
        ("40 cold steps", "cold_wide_planned", "cold_wide_unplanned", "no planning task", 1.05),
    ]
    found = []
    for work, ours, peer, peer_name, goal in comparisons:
        for unit, figure in (("s CPU", "cpu"), ("s wall", "wall")):
            rounds = zip(costs[ours], costs[peer], strict=True)
            # Of each round by itself, as the machine's mood changes more between rounds than a plan costs.
            ratio = statistics.median(getattr(one, figure) / max(getattr(other, figure), 0.01) for one, other in rounds)
            pair = _median(costs[ours], figure), _median(costs[peer], figure)
            found.append(Row(work, *pair, unit, peer_name, ratio, goal))
    return found


def _costs(
    client: AirflowClient, dag_ids: Sequence[str], filename: str, home: Path, rounds: int
) -> dict[str, list[Cost]]:
    """Return what a run of each DAG costs in each round, in turns; ``wall`` is what Airflow says a run took.

    The CPU is that of all of Airflow's processes, less what they use when idle, which is measured in each round.
    """
    for dag_id in dag_ids:
        client.wait_for_dag(dag_id, timeout=240, filename=filename)
        client.unpause(dag_id)
        _run(client, dag_id, home)  # the first run of each warms caches
    costs: dict[str, list[Cost]] = {dag_id: [] for dag_id in dag_ids}
    for _ in range(rounds):
        idle = _idle(home)
        for dag_id in dag_ids:
            window = _run(client, dag_id, home)
            costs[dag_id].append(Cost(wall=window.run, cpu=window.cpu - idle * window.seconds))
    return costs


def _median(costs: Sequence[Cost], figure: str) -> float:
    return float(statistics.median(getattr(cost, figure) for cost in costs))


@dataclass(frozen=True)
class _Window:
    """One run: the CPU seconds of Airflow's processes while it was watched, for how long, and how long it ran."""

    cpu: float
    seconds: float
    run: float


def _run(client: AirflowClient, dag_id: str, home: Path) -> _Window:
    before, begun = _cpu(home), time.monotonic()
    run = client.trigger(dag_id)
    ended = client.wait_for_run(dag_id, run["dag_run_id"], timeout=600)
    time.sleep(1)  # for the processes of the last tasks to be waited for
    first, last = (datetime.fromisoformat(ended[name]) for name in ("start_date", "end_date"))
    return _Window(_cpu(home) - before, time.monotonic() - begun, (last - first).total_seconds())


def _idle(home: Path) -> float:
    """Return the CPU seconds that idle processes use in a second."""
    before, begun = _cpu(home), time.monotonic()
    time.sleep(8)
    return (_cpu(home) - before) / (time.monotonic() - begun)


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
