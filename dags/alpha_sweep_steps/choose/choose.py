"""Choose the strength that errs least, from the scores of all of them."""

import argparse
import json
from pathlib import Path

from refrain import Run


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=Path, required=True, help="folder with a folder for each strength")
    parser.add_argument("--output", type=Path, required=True, help="folder for best.json")
    args = parser.parse_args()

    found = sorted(args.scores.glob("*/score.json"))
    if not found:
        parser.error(f"--scores {args.scores} holds no */score.json. Give the folder that gathers the validations.")
    scores = [json.loads(path.read_text(encoding="utf-8")) for path in found]
    best = min(scores, key=lambda score: (score["rmse"], score["alpha"]))

    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "best.json").write_text(json.dumps(best) + "\n", encoding="utf-8")
    run = Run.get_context()
    run.log_table("scores", {name: [score[name] for score in scores] for name in ("alpha", "rmse")})
    run.log("best_alpha", best["alpha"])


if __name__ == "__main__":
    main()
