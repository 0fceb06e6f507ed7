"""Write the breast cancer biopsies of scikit-learn as two CSV files: to learn from, and to be examined on."""

import argparse
import csv
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer

from refrain import Run

EVERY = 4  # each fourth biopsy is examined on: the order of the table is that of the study, not of the outcome


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for train.csv and test.csv")
    args = parser.parse_args()

    biopsies = load_breast_cancer()
    columns = [name.replace(" ", "_") for name in biopsies.feature_names] + ["malignant"]
    # scikit-learn says 0 for malignant; a screening looks for the malignant ones, so they are its positives.
    rows = np.column_stack([biopsies.data, 1 - biopsies.target]).tolist()
    parts = {
        "train": [row for number, row in enumerate(rows) if number % EVERY],
        "test": rows[::EVERY],
    }

    args.output.mkdir(parents=True, exist_ok=True)
    run = Run.get_context()
    for name, part in parts.items():
        with (args.output / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(part)
        run.log(f"{name}_rows", len(part))
        run.log(f"{name}_malignant", int(sum(row[-1] for row in part)))


if __name__ == "__main__":
    main()
