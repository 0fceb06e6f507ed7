"""Write the raw diabetes table as CSV, and a data card that says what is in it.

The table ships with scikit-learn, so only another release of scikit-learn can bring other data.
"""

import argparse
import csv
import hashlib
import json
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes

from refrain import Run

TARGET = "progression"


def write_table(path: Path, columns: list[str], rows: list[list[float]]) -> None:
    """Write a CSV file whose bytes depend on the values alone."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def data_card(table: Path, columns: list[str], rows: list[list[float]]) -> dict[str, object]:
    """Describe the table. No date: equal data must give an equal card, or every later step would run again."""
    ranges = {
        name: {"min": min(values), "max": max(values)}
        for name, values in zip(columns, zip(*rows, strict=True), strict=True)
    }
    return {
        "schema": 1,
        "name": "diabetes",
        "source": "sklearn.datasets.load_diabetes(scaled=False)",
        "reference": "Efron, Hastie, Johnstone, Tibshirani: Least Angle Regression, 2004",
        "target": TARGET,
        "rows": len(rows),
        "columns": ranges,
        "sha256": hashlib.sha256(table.read_bytes()).hexdigest(),
    }


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for diabetes.csv and data_card.json")
    args = parser.parse_args()

    features = load_diabetes(scaled=False)
    columns = [*features.feature_names, TARGET]
    rows = np.column_stack([features.data, features.target]).tolist()

    args.output.mkdir(parents=True, exist_ok=True)
    table = args.output / "diabetes.csv"
    write_table(table, columns, rows)
    card = data_card(table, columns, rows)
    (args.output / "data_card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")

    run = Run.get_context()
    run.log("rows", len(rows))
    run.log("columns", len(columns))


if __name__ == "__main__":
    main()
