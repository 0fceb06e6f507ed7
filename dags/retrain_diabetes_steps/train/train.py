"""Train one linear model and write it as plain numbers.

A model is a JSON file and not a pickle: opening it can't run code, any release of any language can read it, and equal
models are equal bytes, so the steps behind an unchanged model are reused.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import Lasso, Ridge

from refrain import Run

KINDS = {"ridge": Ridge, "lasso": Lasso}


def strength(text: str) -> float:
    """Parse a regularisation strength."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number above 0")
    return value


def rounded(value: float) -> float:
    """Drop the last bits, in which builds of the linear algebra libraries differ."""
    return float(f"{value:.9g}")


def read_part(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features and target of one part of the prepared data."""
    values = np.loadtxt(folder / f"{name}.csv", delimiter=",", skiprows=1, ndmin=2)
    return values[:, :-1], values[:, -1]


def rmse(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Root of the mean squared error."""
    return rounded(float(np.sqrt(np.mean((truth - prediction) ** 2))))


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that the prepare step wrote")
    parser.add_argument("--kind", choices=sorted(KINDS), required=True, help="which linear model")
    parser.add_argument("--alpha", type=strength, required=True, help="regularisation strength")
    parser.add_argument("--output", type=Path, required=True, help="folder for model.json and metrics.json")
    args = parser.parse_args()
    scaling = args.data / "scaling.json"
    if not scaling.is_file():
        parser.error(f"--data {args.data} holds no scaling.json. Give the folder that the prepare step wrote.")

    features = json.loads(scaling.read_text(encoding="utf-8"))["features"]
    inputs, truth = read_part(args.data, "train")
    fitted = KINDS[args.kind](alpha=args.alpha).fit(inputs, truth)
    coefficients = [rounded(value) for value in fitted.coef_]
    model = {"schema": 1, "kind": args.kind, "alpha": args.alpha, "features": features}
    model |= {"coefficients": coefficients, "intercept": rounded(fitted.intercept_)}
    metrics = {"train_rmse": rmse(truth, fitted.predict(inputs))}
    inputs, truth = read_part(args.data, "validation")
    metrics["validation_rmse"] = rmse(truth, fitted.predict(inputs))

    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "model.json").write_text(json.dumps(model, indent=2) + "\n", encoding="utf-8")
    (args.output / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")

    run = Run.get_context()
    for name, value in metrics.items():
        run.log(name, value)
    run.log_table("coefficients", {"feature": features, "coefficient": coefficients})


if __name__ == "__main__":
    main()
