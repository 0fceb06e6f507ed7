"""Mini-batches in processes, side by side with what people write by hand and with other frameworks.

joblib, concurrent.futures and multiprocessing are here; Ray, Dask and Spark (which needs Java) are taken from the
environment whose Python REFRAIN_TEST_PARALLEL_PYTHON names, as far as it has them. Everything runs in two processes, as
a whole program, start and end included, unless the row says otherwise.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.clock import Cost, alternating, cost_of
from bench.row import Row
from refrain.data import brought
from refrain.data.dataset import Dataset
from refrain.execution.process_environment import RUNTIME

PYTHON_VARIABLE = "REFRAIN_TEST_PARALLEL_PYTHON"
_ROUNDS = 3
_TRIVIAL = 20_000
_MANY = 300_000
_FILES, _AT_ONCE = 50_000, 100
_BUSY, _BUSY_SECONDS = 1_000, 0.005
_ROWS = 2_000_000
_MOST_MICROSECONDS = 100.0
_MOST_MIB = 200.0
_FIRST_SECONDS = 0.5
_LIKE_A_LOOP = 1.15
_BUSY_SHARE = 1 / 0.97
_FASTER = 1.0

_SCRIPTS = {
    "trivial": "def run(mini_batch):\n    return [1]",
    "files": """
import os
def run(mini_batch):
    lines = []
    for path in mini_batch:
        with open(path, "rb") as file:
            lines.append(f"{os.path.basename(path)} {len(file.read())}")
    return lines
""",
    "busy": """
import time
def run(mini_batch):
    end = time.process_time() + SECONDS
    while time.process_time() < end:
        pass
    return [1]
""".replace("SECONDS", str(_BUSY_SECONDS)),
    "first": "import time\ndef run(mini_batch):\n    print(time.time(), flush=True)\n    return [1]",
    "table": "def run(mini_batch):\n    mini_batch['total'] = mini_batch['a'] * mini_batch['b']\n    return mini_batch",
}
_POOLS = {
    "concurrent.futures": """
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(2) as pool:
    rows = [future.result() for future in [pool.submit(work, task) for task in tasks]]
""",
    "multiprocessing.Pool": """
from multiprocessing import Pool
with Pool(2) as pool:
    rows = list(pool.imap(work, tasks))
""",
    "joblib": """
from joblib import Parallel, delayed
rows = Parallel(n_jobs=2, batch_size=1)(delayed(work)(task) for task in tasks)
""",
    "ray": """
import ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
remote = ray.remote(work)
rows = ray.get([remote.remote(task) for task in tasks])
""",
    "dask": """
from dask.distributed import Client
if __name__ == "__main__":
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        rows = client.gather(client.map(work, tasks, pure=False, batch_size=1000))
""",
}
_ELSEWHERE = {"ray": "ray", "dask": "distributed"}
_TRIVIAL_PEER = "import sys\ndef work(task):\n    return [1]\ntasks = range(int(sys.argv[1]))\n"
_LOOP = """
import os, sys
data, count, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
paths = sorted(entry.path for entry in os.scandir(data))
batches = [paths[i : i + count] for i in range(0, len(paths), count)]
for number in range(2):
    if os.fork() == 0:
        with open(f"{out}.{number}", "w") as rows:
            for batch in batches[number::2]:
                for path in batch:
                    with open(path, "rb") as file:
                        rows.write(f"{os.path.basename(path)} {len(file.read())}\\n")
        os._exit(0)
for number in range(2):
    os.wait()
with open(out, "w") as rows:
    for number in range(2):
        rows.write(open(f"{out}.{number}").read())
"""
_BURN = """
import os, sys, time
for number in range(2):
    if os.fork() == 0:
        end = time.process_time() + float(sys.argv[1])
        while time.process_time() < end:
            pass
        os._exit(0)
for number in range(2):
    os.wait()
"""
_TABLES = {
    "dask": """
import sys
import dask.dataframe as dd
from dask.distributed import Client
def run(frame):
    frame["total"] = frame["a"] * frame["b"]
    return frame
if __name__ == "__main__":
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None):
        parts = dd.read_csv(sys.argv[1], blocksize=2**20).map_partitions(run)
        parts.to_csv(sys.argv[2] + "/*.csv", sep=" ", header=False, index=False)
""",
    "spark": """
import os, sys
os.environ["PYSPARK_PYTHON"] = sys.executable
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[2]").config("spark.sql.files.maxPartitionBytes", 2**20).getOrCreate()
def run(frames):
    for frame in frames:
        frame["total"] = frame["a"] * frame["b"]
        yield frame
rows = spark.read.csv(sys.argv[1], header=True, schema="id long, a double, b double, word string")
made = rows.mapInPandas(run, "id long, a double, b double, word string, total double")
made.write.csv(sys.argv[2], sep=" ")
""",
}
_TABLE_MODULES = {"dask": "distributed", "spark": "pyspark"}


def rows(folder: Path) -> list[Row]:
    """Measure everything that is here, in an empty folder."""
    folder.mkdir(parents=True)
    return [*_trivial(folder), _memory(folder), _first(folder), *_files(folder), _busy(folder), *_table(folder)]


def _ours(folder: Path, work: str, *words: object) -> Cost:
    return cost_of(_command(folder, work, *words), _environment(), str(folder))


def _command(folder: Path, work: str, *words: object) -> list[str]:
    script, out = folder / f"{work}.py", folder / f"out-{time.monotonic_ns()}"
    script.write_text(_SCRIPTS[work])
    settings = ["--error_threshold", "-1", "--output_action", "append_row", "--process_count_per_node", "2"]
    named = ["--scoring_module_name", str(script), "--output", str(out)]
    return [sys.executable, "-m", "refrain.runtime.parallel", *named, *settings, *map(str, words)]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(RUNTIME / "path")}


def _peer(folder: Path, python: str, program: str, *words: object) -> Cost:
    path = folder / "peer.py"
    path.write_text(program)
    return cost_of([python, str(path), *map(str, words)], cwd=str(folder))


def _peers(programs: dict[str, str], modules: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield name, Python and program of each peer that is here."""
    named = os.environ.get(PYTHON_VARIABLE, "")
    for name, program in programs.items():
        module = modules.get(name)
        if module is None:
            yield name, sys.executable, program
        elif (
            named and not subprocess.run([named, "-c", f"import {module}"], capture_output=True, check=False).returncode
        ):
            yield name, named, program


def _each(cost: Cost, base: Cost, count: int) -> float:
    """Return the microseconds of CPU that each mini-batch costs beside what starting costs."""
    return (cost.cpu - base.cpu) / count * 1e6


def _trivial(folder: Path) -> list[Row]:
    word = "--rank_mini_batch_count"
    base = _ours(folder, "trivial", word, 2)
    found = []
    for name, python, program in _peers(_POOLS, _ELSEWHERE):
        peer_base = _peer(folder, python, _TRIVIAL_PEER + program, 2)
        ours, peer = alternating(
            lambda: _ours(folder, "trivial", word, _TRIVIAL),
            lambda p=python, t=program: _peer(folder, p, _TRIVIAL_PEER + t, _TRIVIAL),  # type: ignore[misc]
            _ROUNDS,
        )
        mine, theirs = _each(ours, base, _TRIVIAL), _each(peer, peer_base, _TRIVIAL)
        work = "a trivial mini-batch"
        found.append(Row(work, mine, theirs, "µs CPU", name, mine / theirs, _FASTER))
    return [Row("a trivial mini-batch", mine, 0.0, "µs CPU", "", mine, _MOST_MICROSECONDS), *found]


def _memory(folder: Path) -> Row:
    cost = _ours(folder, "trivial", "--rank_mini_batch_count", _MANY)
    return Row(f"the dispatcher of {_MANY:,} mini-batches", cost.peak, 0.0, "MiB", "", cost.peak, _MOST_MIB)


def _first(folder: Path) -> Row:
    seconds = []
    for _ in range(_ROUNDS):
        begun = time.time()
        _ours(folder, "first", "--rank_mini_batch_count", 1, "--process_count_per_node", 1)
        printed = (folder / "logs" / "user" / "stdout" / "000" / "process000.stdout.txt").read_text().splitlines()[-1]
        seconds.append(float(printed) - begun)
    first = sorted(seconds)[len(seconds) // 2]
    return Row("from the start to the first run()", first, 0.0, "s", "", first, _FIRST_SECONDS)


def _files(folder: Path) -> list[Row]:
    data = folder / "data"
    data.mkdir()
    for number in range(_FILES):
        (data / f"{number:06}").write_bytes(b"x" * 1024)
    words = ("--mini_batch_size", _AT_ONCE, "--input_fds_0", data)
    ours, loop = alternating(
        lambda: _ours(folder, "files", *words),
        lambda: _peer(folder, sys.executable, _LOOP, data, _AT_ONCE, folder / "rows"),
        _ROUNDS,
    )
    work, peer = f"{_FILES:,} files of 1 KB, {_AT_ONCE} at once", "a loop of two forks"
    return [
        Row(work, ours.cpu, loop.cpu, "s CPU", peer, ours.cpu / loop.cpu, _LIKE_A_LOOP),
        Row(work, ours.wall, loop.wall, "s", peer, ours.wall / loop.wall, _LIKE_A_LOOP),
    ]


def _busy(folder: Path) -> Row:
    """Compare with two processes that do nothing but the work, so that a busy machine slows down both."""
    base = _ours(folder, "trivial", "--rank_mini_batch_count", 2)
    ours, burn = alternating(
        lambda: _ours(folder, "busy", "--rank_mini_batch_count", _BUSY),
        lambda: _peer(folder, sys.executable, _BURN, _BUSY * _BUSY_SECONDS / 2),
        _ROUNDS,
    )
    wall = ours.wall - base.wall
    work = f"{_BUSY:,} mini-batches of {_BUSY_SECONDS * 1000:.0f} ms of CPU, after the start"
    return Row(work, wall, burn.wall, "s", "nothing but the work", wall / burn.wall, _BUSY_SHARE)


def _table(folder: Path) -> list[Row]:
    path = folder / "table.csv"
    with open(path, "w", encoding="utf-8") as file:
        file.write("id,a,b,word\n")
        file.writelines(f"{n},{n * 0.5},{n % 97 + 0.25},word {n % 1000}\n" for n in range(_ROWS))
    dataset = Dataset.Tabular.from_delimited_files(str(path))
    files = dataset.source_files()
    description = folder / "table.json"
    description.write_text(brought.describe(dataset, files, {file.path: Path(file.path) for file in files}))
    words = ("--mini_batch_size", "1MB", "--input_ds_0", description)
    work = f"a CSV file of {_ROWS:,} rows, 1 MB at once"
    found = []
    for name, python, program in _peers(_TABLES, _TABLE_MODULES):
        ours, peer = alternating(
            lambda: _ours(folder, "table", *words),
            lambda p=python, t=program: _peer(folder, p, t, path, folder / f"out-{time.monotonic_ns()}"),  # type: ignore[misc]
            _ROUNDS,
        )
        found.append(Row(work, ours.wall, peer.wall, "s", name, ours.wall / peer.wall, _FASTER))
        found.append(Row(work, ours.cpu, peer.cpu, "s CPU", name, ours.cpu / peer.cpu, _FASTER))
    if not found:
        ours = _ours(folder, "table", *words)
        found.append(Row(work, ours.wall, 0.0, "s", "", ours.wall, float("inf")))
    return found
