"""Reuse: a run in which nothing has changed, beside other tools; one decision, here, among a million, and on S3."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.clock import alternating, cost_of
from bench.peers import PEERS, PYTHON_VARIABLE, WORK, Peer
from bench.row import Row
from refrain.reuse.record import record_key

_GOALS_AT_100 = {"make": 20, "doit": 2, "dvc": 0.1, "snakemake": 0.1, "redun": 0.1}
_GOALS_AT_1000 = {"make": 20, "doit": 1}
"""The most CPU time that ours may take, as a share of a peer's. Make goes by times alone, and so by next to nothing."""

_ROUNDS = 5
_MANY_RECORDS = 1_000_000
_FEW_RECORDS = 1_000
_LINKS_PER_FILE = 30_000

_PIPELINE = """
from refrain import Pipeline, PipelineData, PythonScriptStep, Workspace
outs = [PipelineData("out") for _ in range({count})]
pipeline = Pipeline(Workspace({root!r}), [
    PythonScriptStep("work.py", name=f"step_{{n}}", source_directory="source", arguments=[out, n], outputs=[out])
    for n, out in enumerate(outs)
], name="bench")
"""

_DECIDE = """
import statistics, sys, time
from pipeline import pipeline
from refrain.pipelines.local import make_runner, run_options
options = run_options(pipeline.definition, False, False, 1)
runner, _ = make_runner(pipeline.workspace, pipeline.definition, {}, "e", options)
seconds = []
for step in pipeline.definition.steps:
    begun = time.perf_counter()
    decision = runner._ask(step, {})
    seconds.append(time.perf_counter() - begun)
    assert decision.is_reused, decision.sentence()
print(statistics.median(seconds) * 1000)
"""


_FAR_STEPS = 20
_ROUND_TRIP_SECONDS = 0.05  # what a store in another region takes to answer; the server's own work is in both figures
_AT_MOST_ROUND_TRIPS = 1.5

_DECIDE_FAR = """
import statistics, time
from pipeline import pipeline
from refrain.pipelines.local import make_runner, run_options
from refrain.reuse.record import record_key
options = run_options(pipeline.definition, False, False, 1)
runner, _ = make_runner(pipeline.workspace, pipeline.definition, {}, "e", options)
objects = pipeline.workspace.state.objects
def timed(act):
    begun = time.perf_counter()
    return act(), time.perf_counter() - begun
decided, asked = [], []
for turn in range(2):
    for step in pipeline.definition.steps:
        decision, seconds = timed(lambda: runner._ask(step, {}))
        assert decision.is_reused, decision.sentence()
        _, alone = timed(lambda: objects.get(record_key(decision.fingerprint)))
        if turn:  # the first time, settings are read, connections made and records copied
            decided.append(seconds)
            asked.append(alone)
print(statistics.median(decided) * 1000, statistics.median(asked) * 1000)
"""


def rows(folder: Path) -> Iterator[Row]:
    """Measure everything in an empty folder."""
    environment = {**os.environ, "REFRAIN_CACHE": str(folder / "cache"), "PYTHONPATH": os.getcwd()}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    yield from _side_by_side(folder / "100", 100, _GOALS_AT_100, environment)
    yield from _side_by_side(folder / "1000", 1000, _GOALS_AT_1000, environment)
    yield from _decisions(folder / "100" / "ours", environment)
    yield _far_decision(folder / "far", environment)


def _side_by_side(
    folder: Path, count: int, goals: Mapping[str, float], environment: Mapping[str, str]
) -> Iterator[Row]:
    """Compare CPU seconds of a run in which nothing has changed; a goal is the most that ours may be of the peer's."""
    ours = _project(folder / "ours", count)
    _settled(ours, _command(), environment)
    for name, goal in goals.items():
        peer, program = PEERS[name], PEERS[name].program()
        if program is None:
            sys.stderr.write(f"No row for {name} at {count} steps: it is not beside {PYTHON_VARIABLE}.\n")
            continue
        place = _peer_project(folder / name, count, peer, program, environment)
        mine, its = alternating(
            lambda: cost_of(_command(), environment, str(ours)),
            lambda place=place, words=(program, *peer.words): cost_of(words, environment, str(place)),  # type: ignore[misc]
            _ROUNDS,
        )
        yield Row(f"{count} unchanged steps", mine.cpu, its.cpu, "s CPU", name, mine.cpu / its.cpu, goal)


def _command() -> list[str]:
    return [sys.executable, "-m", "refrain.cli", "run", "pipeline.py"]


def _project(folder: Path, count: int, root: str = "workspace") -> Path:
    (folder / "source").mkdir(parents=True)
    (folder / "source" / "work.py").write_text(WORK)
    (folder / "pipeline.py").write_text(_PIPELINE.format(count=count, root=root))
    return folder


def _peer_project(folder: Path, count: int, peer: Peer, program: str, environment: Mapping[str, str]) -> Path:
    folder.mkdir(parents=True)
    (folder / "work.py").write_text(WORK)
    peer.write(folder, count, sys.executable)
    if peer.begin:
        cost_of([program, *peer.begin], environment, str(folder))
    _settled(folder, [program, *peer.words], environment)
    return folder


def _settled(folder: Path, command: list[str], environment: Mapping[str, str]) -> None:
    """Run twice: what was written a moment ago is read once more by whoever goes by times."""
    for _ in range(2):
        cost_of(command, environment, str(folder))


def _decisions(folder: Path, environment: Mapping[str, str]) -> list[Row]:
    """Decide on a hundred steps in a store of a thousand records, and in the same one with a million."""
    _add_records(folder / "workspace", _FEW_RECORDS, "few")
    few = [_decide(folder, environment) for _ in range(_ROUNDS)]
    _add_records(folder / "workspace", _MANY_RECORDS, "many")
    many = [_decide(folder, environment) for _ in range(_ROUNDS)]
    alone, among = statistics.median(few), statistics.median(many)
    shutil.rmtree(folder / "workspace")
    return [
        Row("one decision, p50", alone, 0.0, "ms wall", "", alone, 2.0),
        Row("one decision among 1,000,000 records", among, alone, "ms wall", "among 1,000", among / alone, 1.25),
    ]


def _far_decision(folder: Path, environment: Mapping[str, str]) -> Row:
    """Compare a decision in a workspace on S3 with one request to it; the server is slow, as one far away is."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from fakes.remote_stores import s3_server

    with s3_server() as server:
        there = {**environment, "AIRFLOW_CONN_FAR": server.connection()}
        ours = _project(folder, _FAR_STEPS, f"s3://{server.make_bucket()}/team?conn_id=far")
        cost_of(_command(), there, str(ours))
        server.delay = _ROUND_TRIP_SECONDS
        done = subprocess.run(
            [sys.executable, "-c", _DECIDE_FAR], cwd=ours, env=there, capture_output=True, check=True, text=True
        )
    decided, asked = map(float, done.stdout.split())
    ratio = decided / asked
    return Row("one decision on S3", decided, asked, "ms wall", "one request", ratio, _AT_MOST_ROUND_TRIPS)


def _decide(folder: Path, environment: Mapping[str, str]) -> float:
    command = [sys.executable, "-c", _DECIDE]
    return float(
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True, text=True).stdout
    )


def _add_records(workspace: Path, count: int, name: str) -> None:
    """Fill a store with records that nobody asks for; links to a few files, which take no time to speak of."""
    record = next((workspace / "reuse").glob("??/*.json")).read_bytes()
    for number in range(count):
        source = workspace / f"{name}_{number // _LINKS_PER_FILE}"
        if number % _LINKS_PER_FILE == 0:
            source.write_bytes(record)
        path = workspace / record_key(f"{number % 256:02x}{number:014x}{name.encode().hex():0>48}")
        if number < 256:
            path.parent.mkdir(exist_ok=True)
        os.link(source, path)
