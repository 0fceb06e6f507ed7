"""Fit a classifier to the first half of the images, so that the second half can tell how good it is; register it."""

import argparse
from pathlib import Path

import joblib
import numpy as np
from sklearn.svm import SVC

from refrain import Run


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True, help="folder with labels.csv")
    args = parser.parse_args()

    rows = [line.split(",") for line in (args.labels / "labels.csv").read_text().splitlines()]
    known = rows[: len(rows) // 2]
    pixels = [np.frombuffer((args.images / name).read_bytes()[-64:], dtype=np.uint8) for name, _ in known]
    model = SVC(gamma=0.001).fit(np.stack(pixels), [int(label) for _, label in known])
    Path("outputs").mkdir()
    joblib.dump(model, "outputs/model.joblib")
    registered = Run.get_context().register_model(
        "digits_model",
        "outputs/model.joblib",
        tags={"images": len(known)},
        model_framework="ScikitLearn",
        description="A classifier of 8 x 8 grey images",
    )
    print(registered.name, registered.version, sep=" version ")


if __name__ == "__main__":
    main()
