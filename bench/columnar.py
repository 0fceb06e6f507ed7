"""Columnar engines side by side: one large CSV file and many small Parquet files, each question in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.row import Row

_CSV_ROWS = 2_000_000
_PARQUET_FILES = 10_000
_PARQUET_ROWS = 100
_ROUNDS = 3
_WORK = ("read", "filter", "project", "count", "take", "stream")

# What each engine is asked, as source: a question runs in a fresh process, so that memory and warm-up are its own.
_ENGINES = {
    "ours": """
from refrain.data.dataset import Dataset
if kind == "csv":
    data = Dataset.Tabular.from_delimited_files(path, validate=False)
else:
    data = Dataset.Tabular.from_parquet_files(path, validate=False)
ask = {
    "read": lambda: data.to_arrow().num_rows,
    "filter": lambda: data.filter((data["c1"] > 0.9) & (data["c3"] == "b")).to_arrow().num_rows,
    "project": lambda: data.keep_columns(["c0", "c1"]).to_arrow().num_rows,
    "count": lambda: sum(batch.table.num_rows for batch in data.keep_columns(["c0"]).batches()),
    "take": lambda: data.take(1000).to_arrow().num_rows,
    "stream": lambda: sum(batch.table.num_rows for batch in data.batches()),
}
""",
    "pyarrow": """
import pyarrow.dataset as ds
data = ds.dataset(path, format="csv" if kind == "csv" else "parquet")
f = ds.field
ask = {
    "read": lambda: data.to_table().num_rows,
    "filter": lambda: data.to_table(filter=(f("c1") > 0.9) & (f("c3") == "b")).num_rows,
    "project": lambda: data.to_table(columns=["c0", "c1"]).num_rows,
    "count": data.count_rows,
    "take": lambda: data.head(1000).num_rows,
    "stream": lambda: sum(batch.num_rows for batch in data.to_batches()),
}
""",
    "duckdb": """
import duckdb
duckdb.sql("SET threads TO 2")
source = f"'{path}'" if kind == "csv" else f"'{path}/*/*.parquet'"
def arrow(query): return duckdb.sql(query).to_arrow_table().num_rows
ask = {
    "read": lambda: arrow(f"FROM {source}"),
    "filter": lambda: arrow(f"FROM {source} WHERE c1 > 0.9 AND c3 = 'b'"),
    "project": lambda: arrow(f"SELECT c0, c1 FROM {source}"),
    "count": lambda: duckdb.sql(f"SELECT count(*) FROM {source}").fetchall()[0][0],
    "take": lambda: arrow(f"FROM {source} LIMIT 1000"),
    "stream": lambda: sum(batch.num_rows for batch in duckdb.sql(f"FROM {source}").to_arrow_reader()),
}
""",
    "polars": """
import polars as pl
data = pl.scan_csv(path, try_parse_dates=True) if kind == "csv" else pl.scan_parquet(f"{path}/*/*.parquet")
def arrow(frame): return frame.collect(engine="streaming").to_arrow().num_rows
ask = {
    "read": lambda: arrow(data),
    "filter": lambda: arrow(data.filter((pl.col("c1") > 0.9) & (pl.col("c3") == "b"))),
    "project": lambda: arrow(data.select("c0", "c1")),
    "count": lambda: data.select(pl.len()).collect(engine="streaming").item(),
    "take": lambda: arrow(data.head(1000)),
    "stream": lambda: sum(batch.height for batch in data.collect_batches()),
}
""",
}

_PROGRAM = """
import json, resource, sys, time
kind, path, work = sys.argv[1:]
begun = time.perf_counter()
{engine}
answer = ask[work]()
took = time.perf_counter() - begun
usage = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss: a child starts with its parent's.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([answer, took, usage.ru_utime + usage.ru_stime, peak / 1024]))
"""


@dataclass(frozen=True)
class Answer:
    """What a question cost: seconds of wall and CPU, peak memory in MiB."""

    rows: int
    wall: float
    cpu: float
    peak: float


def rows(folder: Path) -> list[Row]:
    """Measure ours beside each engine that ``REFRAIN_TEST_COLUMNAR_PYTHON`` (default: this Python) can import."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = {"csv": _csv(folder), "parquet": _parquet(folder)}
    found = []
    for kind, path in sources.items():
        for work in _WORK:
            found += _compare(kind, path, work)
    return found


def _compare(kind: str, path: Path, work: str) -> list[Row]:
    answers = {name: answer for name in _ENGINES if (answer := _ask(name, kind, path, work)) is not None}
    ours = answers.pop("ours", None)
    if ours is None:
        return []
    made = []
    for name, peer in answers.items():
        title = f"{kind}: {work}"
        made.append(Row(title, ours.wall, peer.wall, "s wall", name, ours.wall / peer.wall, 4.0))
        made.append(Row(f"{title}, memory", ours.peak, peer.peak, "MiB peak", name, ours.peak / peer.peak, 2.0))
    return made


def _ask(engine: str, kind: str, path: Path, work: str) -> Answer | None:
    """Ask one question a few times; the median by wall time, or None if the engine is not installed."""
    python = os.environ.get("REFRAIN_TEST_COLUMNAR_PYTHON", sys.executable)
    program = _PROGRAM.replace("{engine}", _ENGINES[engine])
    answers = []
    for _ in range(_ROUNDS):
        process = subprocess.run(
            [python, "-c", program, kind, str(path), work], capture_output=True, text=True, check=False
        )
        if process.returncode:
            sys.stderr.write(f"{engine} {kind} {work}: {process.stderr.strip().splitlines()[-1:]}\n")
            return None
        answers.append(Answer(*json.loads(process.stdout.splitlines()[-1])))
    answer = sorted(answers, key=lambda a: a.wall)[_ROUNDS // 2]
    sys.stderr.write(f"{engine:8} {kind:8} {work:8} {answer}\n")
    return answer


def _csv(folder: Path) -> Path:
    from pyarrow import csv

    path = folder / "large.csv"
    if not path.exists():
        csv.write_csv(_table(_CSV_ROWS, 0), path)
    return path


def _parquet(folder: Path) -> Path:
    from pyarrow import parquet

    root = folder / "small"
    for number in range(0 if root.exists() else _PARQUET_FILES):
        month = root / f"{number % 100:02}"
        month.mkdir(parents=True, exist_ok=True)
        parquet.write_table(_table(_PARQUET_ROWS, number), month / f"{number:05}.parquet")
    return root


def _table(count: int, seed: int) -> Any:
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng(seed)
    begin = np.datetime64("2020-01-01T00:00:00")
    letters = np.array(["a", "b", "c", "d", "e"])
    null = random.random(count) < 0.05
    return pa.table(
        {
            "c0": np.arange(count),
            "c1": random.random(count),
            "c2": pa.array(random.integers(0, 10**9, count), mask=null),
            "c3": letters[random.integers(0, 5, count)],
            "c4": [f"customer {n}" for n in random.integers(0, 10**6, count)],
            "c5": random.random(count) < 0.5,
            "c6": begin + random.integers(0, 10**8, count).astype("timedelta64[s]"),
            "c7": pa.array(random.normal(size=count), mask=null),
            "c8": [f'words, and "quotes" {n}' for n in random.integers(0, 1000, count)],
            "c9": (begin + random.integers(0, 10**8, count).astype("timedelta64[s]")).astype("datetime64[D]"),
        }
    )
