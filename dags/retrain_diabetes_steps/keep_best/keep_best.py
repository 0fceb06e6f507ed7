"""Keep the chosen model: in a form that takes raw values, with a card that says what it is worth.

A model that does worse than the mean of its training data is not kept: the step fails.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from refrain import Run

CARD = """\
# Diabetes model

Predicts the progression of diabetes one year after the examination (25 to 346) from {count} values of it.
A {kind} regression, alpha {alpha:g}, kept as plain numbers in `model.json`:

    progression = intercept + coefficients · features

| on the {rows} rows held out | value |
|---|---|
| root mean squared error | {rmse:.2f} |
| the same, always answering the mean | {baseline_rmse:.2f} |
| mean absolute error | {mae:.2f} |
| share of variance explained | {r2:.3f} |

| feature | coefficient |
|---|---|
{coefficients}

Not for clinical use: 442 patients of one study.
"""


def read_json(parser: argparse.ArgumentParser, option: str, folder: Path, name: str) -> dict[str, Any]:
    """Read a JSON file out of the folder given by an option."""
    if not (folder / name).is_file():
        parser.error(f"{option} {folder} holds no {name}. Give the folder that the earlier step wrote.")
    content: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return content


def for_raw_values(model: dict[str, Any], scaling: dict[str, Any]) -> dict[str, Any]:
    """Fold the scaling into the numbers, so that whoever uses the model need not scale."""
    pairs = zip(model["coefficients"], scaling["deviation"], strict=True)
    coefficients = [weight / deviation for weight, deviation in pairs]
    shift = sum(weight * mean for weight, mean in zip(coefficients, scaling["mean"], strict=True))
    rounded = [float(f"{weight:.9g}") for weight in coefficients]
    return {**model, "coefficients": rounded, "intercept": float(f"{model['intercept'] - shift:.9g}")}


def model_card(model: dict[str, Any], evaluation: dict[str, Any]) -> str:
    """Say in Markdown what the model is. No date: an unchanged model keeps an unchanged card."""
    weights = zip(model["features"], model["coefficients"], strict=True)
    lines = [f"| {name} | {weight:.4g} |" for name, weight in weights]
    words = {**evaluation, "kind": model["kind"], "alpha": model["alpha"], "count": len(lines)}
    return CARD.format(**words, coefficients="\n".join(lines))


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the best model")
    parser.add_argument("--data", type=Path, required=True, help="folder that the prepare step wrote")
    parser.add_argument("--evaluation", type=Path, required=True, help="folder that the evaluate step wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder for model.json and model_card.md")
    args = parser.parse_args()
    model = read_json(parser, "--model", args.model, "model.json")
    scaling = read_json(parser, "--data", args.data, "scaling.json")
    evaluation = read_json(parser, "--evaluation", args.evaluation, "evaluation.json")
    if not evaluation["rmse"] < evaluation["baseline_rmse"]:
        raise SystemExit(
            f"The best model errs by {evaluation['rmse']}, always answering the mean by "
            f"{evaluation['baseline_rmse']}: not kept. Look at the data, or lower the alphas."
        )

    kept = for_raw_values(model, scaling)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "model.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    (args.output / "model_card.md").write_text(model_card(kept, evaluation), encoding="utf-8")

    run = Run.get_context()
    run.log("holdout_rmse", evaluation["rmse"])
    run.tag("model", f"{kept['kind']} alpha={kept['alpha']:g}")


if __name__ == "__main__":
    main()
