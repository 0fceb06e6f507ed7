"""Fit a logistic regression and write it as plain numbers that take unscaled values."""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from refrain import Run


def strength(text: str) -> float:
    """Parse a regularisation strength."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number above 0")
    return value


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that the extract step wrote")
    parser.add_argument("--regularisation", type=strength, required=True, help="how strongly to keep weights small")
    parser.add_argument("--output", type=Path, required=True, help="folder for model.json")
    args = parser.parse_args()
    table = args.data / "train.csv"
    if not table.is_file():
        parser.error(f"--data {args.data} holds no train.csv. Give the folder that the extract step wrote.")

    features = table.read_text(encoding="utf-8").partition("\n")[0].split(",")[:-1]
    values = np.loadtxt(table, delimiter=",", skiprows=1, ndmin=2)
    mean, deviation = values[:, :-1].mean(axis=0), values[:, :-1].std(axis=0)
    fitted = LogisticRegression(C=1 / args.regularisation, max_iter=1000)
    fitted.fit((values[:, :-1] - mean) / deviation, values[:, -1])
    weights = fitted.coef_[0] / deviation
    intercept = float(fitted.intercept_[0] - weights @ mean)

    # Six significant digits: the solver stops at a tolerance, what comes after them is noise.
    model = {"schema": 1, "kind": "logistic", "features": features}
    model |= {"coefficients": [float(f"{weight:.6g}") for weight in weights], "intercept": float(f"{intercept:.6g}")}
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "model.json").write_text(json.dumps(model, indent=2) + "\n", encoding="utf-8")

    run = Run.get_context()
    run.log("iterations", int(fitted.n_iter_[0]))


if __name__ == "__main__":
    main()
