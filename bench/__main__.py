"""Run the measurements, print the table, and append one JSON row each to ``bench/results.jsonl``."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from bench import airflow, columnar, containers, local, parallel, reuse, storage, transfers
from bench.row import Row, table

_RESULTS = Path(__file__).parent / "results.jsonl"
_PARTS = {
    "local": local.rows,
    "containers": containers.rows,
    "storage": storage.rows,
    "transfers": transfers.rows,
    "parallel": parallel.rows,
    "reuse": reuse.rows,
    "airflow": airflow.rows,
    "columnar": columnar.rows,
}


def main(names: list[str]) -> int:
    """Run the named parts, or all; return 1 when a goal is not met."""
    unknown = set(names) - set(_PARTS)
    if unknown:
        sys.stderr.write(f"Unknown part {sorted(unknown)}. Known: {', '.join(_PARTS)}.\n")
        return 2
    rows: list[Row] = []
    for name in names or _PARTS:
        with tempfile.TemporaryDirectory(prefix="refrain-bench-") as folder:
            for row in _PARTS[name](Path(folder) / name):
                rows.append(row)
                with _RESULTS.open("a", encoding="utf-8") as file:  # at once: a later one may fail
                    file.write(json.dumps({"time": int(time.time()), **row.to_json()}) + "\n")
    sys.stdout.write("\n".join(table(rows)) + "\n")
    return 0 if all(row.is_met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
