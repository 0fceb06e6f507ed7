"""Train a ridge regression and write it as plain numbers.

A model is a JSON file and not a pickle: opening it can't run code, any release of any language can read it, and equal
models are equal bytes, so the steps behind an unchanged model are reused.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge

from refrain import Run


def rounded(value: float) -> float:
    """Drop the last bits, in which builds of the linear algebra libraries differ."""
    return float(f"{value:.9g}")


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that the prepare step wrote")
    parser.add_argument("--alpha", type=float, required=True, help="regularisation strength")
    parser.add_argument("--output", type=Path, required=True, help="folder for model.json and metrics.json")
    args = parser.parse_args()

    features = json.loads((args.data / "scaling.json").read_text(encoding="utf-8"))["features"]
    parts = {name: np.loadtxt(args.data / f"{name}.csv", delimiter=",", skiprows=1) for name in ("train", "validation")}
    fitted = Ridge(alpha=args.alpha).fit(parts["train"][:, :-1], parts["train"][:, -1])
    metrics = {}
    for name, part in parts.items():
        errors = part[:, -1] - fitted.predict(part[:, :-1])
        metrics[f"{name}_rmse"] = rounded(np.sqrt(np.mean(errors**2)))
    coefficients = [rounded(value) for value in fitted.coef_]
    model = {"schema": 1, "kind": "ridge", "alpha": args.alpha, "features": features}
    model |= {"coefficients": coefficients, "intercept": rounded(fitted.intercept_)}

    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "model.json").write_text(json.dumps(model, indent=2) + "\n", encoding="utf-8")
    (args.output / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")

    run = Run.get_context()
    for name, value in metrics.items():
        run.log(name, value)
    run.log_table("coefficients", {"feature": features, "coefficient": coefficients})


if __name__ == "__main__":
    main()
