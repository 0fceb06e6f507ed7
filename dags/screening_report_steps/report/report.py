"""Examine a model on biopsies it has not seen, and write the report."""

import argparse
import json
from pathlib import Path

import numpy as np

from refrain import Run

REPORT = """\
# Screening report

| examined on {biopsies} biopsies | |
|---|---|
| malignant and found | {found} |
| malignant and missed | {missed} |
| benign and called malignant | {alarms} |
| benign and called benign | {cleared} |
| share of the malignant ones found (recall) | {recall:.3f} |
| share of the alarms that were right (precision) | {precision:.3f} |
"""


def scores_of(malignant: np.ndarray, called: np.ndarray) -> dict[str, float]:
    """Count hits and errors; a share of nothing is 0."""
    found = int(np.sum(malignant & called))
    missed = int(np.sum(malignant & ~called))
    alarms = int(np.sum(~malignant & called))
    return {
        "biopsies": len(malignant),
        "found": found,
        "missed": missed,
        "alarms": alarms,
        "cleared": int(np.sum(~malignant & ~called)),
        "recall": round(found / max(found + missed, 1), 6),
        "precision": round(found / max(found + alarms, 1), 6),
    }


def confusion_matrix(scores: dict[str, float]) -> dict[str, object]:
    """The counts in the form that `log_confusion_matrix` takes: a row per truth, a column per answer."""
    matrix = [[scores["cleared"], scores["alarms"]], [scores["missed"], scores["found"]]]
    return {
        "schema_type": "confusion_matrix",
        "schema_version": "1.0.0",
        "data": {"class_labels": ["benign", "malignant"], "matrix": matrix},
    }


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that the extract step wrote")
    parser.add_argument("--model", type=Path, required=True, help="folder that the fit step wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder for report.md and scores.json")
    args = parser.parse_args()
    if not (args.data / "test.csv").is_file():
        parser.error(f"--data {args.data} holds no test.csv. Give the folder that the extract step wrote.")
    if not (args.model / "model.json").is_file():
        parser.error(f"--model {args.model} holds no model.json. Give the folder that the fit step wrote.")

    model = json.loads((args.model / "model.json").read_text(encoding="utf-8"))
    values = np.loadtxt(args.data / "test.csv", delimiter=",", skiprows=1, ndmin=2)
    called = values[:, :-1] @ np.array(model["coefficients"]) + model["intercept"] > 0
    scores = scores_of(values[:, -1] == 1, called)

    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "report.md").write_text(REPORT.format(**scores), encoding="utf-8")
    (args.output / "scores.json").write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")

    run = Run.get_context()
    run.log("recall", scores["recall"])
    run.log("precision", scores["precision"])
    run.log_confusion_matrix("outcomes", confusion_matrix(scores))


if __name__ == "__main__":
    main()
