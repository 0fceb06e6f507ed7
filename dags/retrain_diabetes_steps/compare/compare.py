"""Rank the trained models by their error on the validation part and pass on the best."""

import argparse
import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from refrain import Run


@dataclass(frozen=True)
class Candidate:
    """One trained model and how well it did."""

    folder: Path
    kind: str
    alpha: float
    train_rmse: float
    validation_rmse: float

    def rank(self) -> tuple[float, str, float]:
        """Best first; equal errors are settled by name, never by the order of the arguments."""
        return self.validation_rmse, self.kind, self.alpha


def read_candidate(folder: Path) -> Candidate:
    """Read what a train step wrote."""
    model = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return Candidate(folder, model["kind"], model["alpha"], metrics["train_rmse"], metrics["validation_rmse"])


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="folders that the train steps wrote")
    parser.add_argument("--best", type=Path, required=True, help="folder for the best model")
    parser.add_argument("--comparison", type=Path, required=True, help="folder for comparison.csv")
    args = parser.parse_args()
    for folder in args.models:
        if not (folder / "model.json").is_file():
            parser.error(f"--models {folder} holds no model.json. Give folders that the train steps wrote.")

    ranking = sorted((read_candidate(folder) for folder in args.models), key=Candidate.rank)
    table = {
        name: [getattr(candidate, name) for candidate in ranking]
        for name in ("kind", "alpha", "train_rmse", "validation_rmse")
    }

    args.comparison.mkdir(parents=True, exist_ok=True)
    with (args.comparison / "comparison.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    args.best.mkdir(parents=True, exist_ok=True)
    for name in ("model.json", "metrics.json"):
        shutil.copyfile(ranking[0].folder / name, args.best / name)

    run = Run.get_context()
    run.log_table("comparison", table)
    run.log("best_validation_rmse", ranking[0].validation_rmse)
    run.tag("best", f"{ranking[0].kind} alpha={ranking[0].alpha:g}")


if __name__ == "__main__":
    main()
