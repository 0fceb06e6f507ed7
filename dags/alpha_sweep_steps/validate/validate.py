"""Say how well a ridge regression of one strength predicts rows that it was not trained on."""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score

from refrain import Run


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that the load step wrote")
    parser.add_argument("--alpha", type=float, required=True, help="regularisation strength")
    parser.add_argument("--output", type=Path, required=True, help="folder for score.json")
    args = parser.parse_args()

    table = np.loadtxt(args.data / "diabetes.csv", delimiter=",")
    model = Ridge(alpha=args.alpha)
    errors = -cross_val_score(model, table[:, :-1], table[:, -1], scoring="neg_root_mean_squared_error")
    score = {"alpha": args.alpha, "rmse": float(f"{errors.mean():.9g}")}

    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "score.json").write_text(json.dumps(score) + "\n", encoding="utf-8")
    Run.get_context().log("rmse", score["rmse"])


if __name__ == "__main__":
    main()
