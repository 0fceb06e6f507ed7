"""Split the raw table into train, validation and holdout, and scale the features by what the train part shows."""

import argparse
import json
from pathlib import Path

import numpy as np

from refrain import Run

# Nine significant digits: the last bits of a mean differ between processors, equal bytes spare the steps that follow.
DIGITS = "%.9g"


def share(text: str) -> float:
    """Parse a share of the rows; two of them must leave rows to train on."""
    value = float(text)
    if not 0 < value < 0.5:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and below 0.5")
    return value


def seed(text: str) -> int:
    """Parse a seed of the random generator."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative; seeds start at 0")
    return value


def split(rows: int, seed: int, holdout_share: float) -> dict[str, np.ndarray]:
    """Deal out row numbers: holdout and validation get the same share each, train gets the rest."""
    order = np.random.default_rng(seed).permutation(rows)
    held = round(rows * holdout_share)
    if not held or rows - 2 * held < 2:
        raise SystemExit(f"{rows} rows are too few to hold out {held} twice. Change --holdout-share.")
    return {"holdout": order[:held], "validation": order[held : 2 * held], "train": order[2 * held :]}


def scaling_of(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column, where 1 stands in for a column that never changes."""
    deviation = features.std(axis=0)
    return features.mean(axis=0), np.where(deviation == 0, 1.0, deviation)


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", type=Path, required=True, help="folder with diabetes.csv, target last")
    parser.add_argument("--seed", type=seed, required=True, help="which split to take")
    parser.add_argument("--holdout-share", type=share, required=True, help="share of the rows never trained on")
    parser.add_argument("--output", type=Path, required=True, help="folder for the three parts and scaling.json")
    args = parser.parse_args()
    table = args.raw / "diabetes.csv"
    if not table.is_file():
        parser.error(f"--raw {args.raw} holds no diabetes.csv. Give the folder that the ingest step wrote.")

    header = table.read_text(encoding="utf-8").partition("\n")[0]
    values = np.loadtxt(table, delimiter=",", skiprows=1, ndmin=2)
    parts = split(len(values), args.seed, args.holdout_share)
    mean, deviation = scaling_of(values[parts["train"], :-1])

    args.output.mkdir(parents=True, exist_ok=True)
    run = Run.get_context()
    for name, rows in parts.items():
        scaled = np.column_stack([(values[rows, :-1] - mean) / deviation, values[rows, -1]])
        np.savetxt(args.output / f"{name}.csv", scaled, fmt=DIGITS, delimiter=",", header=header, comments="")
        run.log(f"{name}_rows", len(rows))
    rounded = [[float(DIGITS % value) for value in column] for column in (mean, deviation)]
    scaling = {"schema": 1, "features": header.split(",")[:-1], "mean": rounded[0], "deviation": rounded[1]}
    (args.output / "scaling.json").write_text(json.dumps(scaling, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
