"""Write the diabetes table that every validation reads; the target is its last column."""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes

from refrain import Run


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for diabetes.csv")
    args = parser.parse_args()

    features, target = load_diabetes(return_X_y=True)
    args.output.mkdir(parents=True, exist_ok=True)
    np.savetxt(args.output / "diabetes.csv", np.column_stack([features, target]), fmt="%.9g", delimiter=",")
    Run.get_context().log("rows", len(target))


if __name__ == "__main__":
    main()
