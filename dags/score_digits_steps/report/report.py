"""Compare the predictions with the labels of those images that the model has not seen."""

import argparse
import json
from pathlib import Path

from refrain import Run


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True, help="folder with predictions.txt")
    parser.add_argument("--labels", type=Path, required=True, help="folder with labels.csv")
    parser.add_argument("--output", type=Path, required=True, help="folder for report.json")
    args = parser.parse_args()

    rows = [line.split(",") for line in (args.labels / "labels.csv").read_text().splitlines()]
    predicted = dict(line.split(": ") for line in (args.predictions / "predictions.txt").read_text().splitlines())
    unseen = rows[len(rows) // 2 :]
    right = sum(predicted.get(name) == label for name, label in unseen)
    report = {"files": len(predicted), "accuracy": right / len(unseen)}
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "report.json").write_text(json.dumps(report))
    Run.get_context().log("accuracy", report["accuracy"])


if __name__ == "__main__":
    main()
