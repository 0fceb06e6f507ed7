"""The scripts of the retraining example, run by hand from the first to the last."""

import csv
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

STEPS = "retrain_diabetes_steps"
SCRIPTS = {
    name: f"{STEPS}/{name}/{name}.py" for name in ("ingest", "prepare", "train", "compare", "evaluate", "keep_best")
}
CANDIDATES = {"ridge": ("ridge", 1.0), "ridge_strong": ("ridge", 30.0), "lasso": ("lasso", 1.0)}


def run_chain(must_run, folder: Path) -> Path:
    prepare = ("--raw", folder / "raw", "--seed", 7, "--holdout-share", 0.2)
    must_run(SCRIPTS["ingest"], "--output", folder / "raw")
    must_run(SCRIPTS["prepare"], *prepare, "--output", folder / "prepared")

    def train(name: str) -> None:
        kind, alpha = CANDIDATES[name]
        options = ("--data", folder / "prepared", "--kind", kind, "--alpha", alpha)
        must_run(SCRIPTS["train"], *options, "--output", folder / name)

    with ThreadPoolExecutor() as pool:
        list(pool.map(train, CANDIDATES))
    models = [folder / name for name in CANDIDATES]
    best = ("--model", folder / "best", "--data", folder / "prepared")
    must_run(SCRIPTS["compare"], "--models", *models, "--best", folder / "best", "--comparison", folder / "comparison")
    must_run(SCRIPTS["evaluate"], *best, "--output", folder / "evaluation")
    must_run(SCRIPTS["keep_best"], *best, "--evaluation", folder / "evaluation", "--output", folder / "kept")
    return folder


@pytest.fixture(scope="module")
def chain(must_run, tmp_path_factory) -> Path:
    return run_chain(must_run, tmp_path_factory.mktemp("chain"))


def test_two_runs_write_the_same_bytes(chain, must_run, contents, tmp_path):
    again = run_chain(must_run, tmp_path)

    assert contents(again) == contents(chain)
    assert len(contents(chain)) == 19


def test_the_parts_have_every_row_once(chain):
    lines = {
        part: (chain / "prepared" / f"{part}.csv").read_text().splitlines()
        for part in ("train", "validation", "holdout")
    }

    assert {part: len(rows) - 1 for part, rows in lines.items()} == {"train": 266, "validation": 88, "holdout": 88}
    assert len({row for rows in lines.values() for row in rows[1:]}) == 442


def test_the_best_model_heads_the_comparison_and_is_passed_on(chain):
    with (chain / "comparison" / "comparison.csv").open() as file:
        ranking = list(csv.DictReader(file))
    errors = [float(row["validation_rmse"]) for row in ranking]
    best = json.loads((chain / "best" / "model.json").read_text())

    assert errors == sorted(errors)
    assert (ranking[0]["kind"], float(ranking[0]["alpha"])) == (best["kind"], best["alpha"])


def test_the_kept_model_predicts_from_raw_values_what_the_best_model_predicts_from_scaled_ones(chain):
    kept = json.loads((chain / "kept" / "model.json").read_text())
    best = json.loads((chain / "best" / "model.json").read_text())
    scaling = json.loads((chain / "prepared" / "scaling.json").read_text())
    with (chain / "raw" / "diabetes.csv").open() as file:
        patient = [float(value) for value in list(csv.reader(file))[1][:-1]]
    scaled = [(v - m) / d for v, m, d in zip(patient, scaling["mean"], scaling["deviation"], strict=True)]

    def predict(model: dict, values: list[float]) -> float:
        return model["intercept"] + sum(w * v for w, v in zip(model["coefficients"], values, strict=True))

    assert predict(kept, patient) == pytest.approx(predict(best, scaled), rel=1e-6)


def test_the_model_card_and_the_chart_tell_of_the_evaluation(chain):
    evaluation = json.loads((chain / "evaluation" / "evaluation.json").read_text())

    assert f"| root mean squared error | {evaluation['rmse']:.2f} |" in (chain / "kept" / "model_card.md").read_text()
    assert (chain / "evaluation" / "prediction_against_truth.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert evaluation["rmse"] < evaluation["baseline_rmse"]


def test_the_order_of_the_models_does_not_change_the_choice(chain, must_run, contents, tmp_path):
    models = [chain / name for name in reversed(CANDIDATES)]

    must_run(SCRIPTS["compare"], "--models", *models, "--best", tmp_path / "best", "--comparison", tmp_path / "table")

    assert contents(tmp_path / "best") == contents(chain / "best")
    assert contents(tmp_path / "table") == contents(chain / "comparison")


def test_a_model_worse_than_the_mean_is_not_kept(chain, run_script, tmp_path):
    poor = shutil.copytree(chain / "evaluation", tmp_path / "evaluation")
    (poor / "evaluation.json").write_text(json.dumps({"rmse": 80.0, "baseline_rmse": 77.0}))
    options = ("--model", chain / "best", "--data", chain / "prepared", "--evaluation", poor)

    done = run_script(SCRIPTS["keep_best"], *options, "--output", tmp_path / "kept")

    assert done.returncode == 1
    assert "The best model errs by 80.0, always answering the mean by 77.0: not kept." in done.stderr
    assert not (tmp_path / "kept").exists()


PREPARE = ["--raw", "here", "--output", "out"]
TRAIN = ["--data", "here", "--output", "out"]


@pytest.mark.parametrize(
    ("step", "arguments", "message"),
    [
        ("ingest", [], "the following arguments are required: --output"),
        ("prepare", [*PREPARE, "--seed", "7"], "the following arguments are required: --holdout-share"),
        ("prepare", [*PREPARE, "--seed", "-1", "--holdout-share", "0.2"], "--seed: -1 is negative; seeds start at 0"),
        (
            "prepare",
            [*PREPARE, "--seed", "7", "--holdout-share", "0.5"],
            "--holdout-share: 0.5 is not above 0 and below 0.5",
        ),
        (
            "prepare",
            [*PREPARE, "--seed", "7", "--holdout-share", "0.2"],
            "--raw here holds no diabetes.csv. Give the folder",
        ),
        ("train", [*TRAIN, "--kind", "forest", "--alpha", "1"], "--kind: invalid choice: 'forest'"),
        ("train", [*TRAIN, "--kind", "ridge", "--alpha", "0"], "--alpha: 0 is not a finite number above 0"),
        ("train", [*TRAIN, "--kind", "ridge", "--alpha", "nan"], "--alpha: nan is not a finite number above 0"),
        ("train", [*TRAIN, "--kind", "ridge", "--alpha", "1"], "--data here holds no scaling.json. Give the folder"),
        (
            "compare",
            ["--models", "a", "--best", "b", "--comparison", "c"],
            "--models a holds no model.json. Give folders",
        ),
        (
            "evaluate",
            ["--model", "a", "--data", "b", "--output", "c"],
            "--model a holds no model.json. Give the folder",
        ),
        (
            "keep_best",
            ["--model", "a", "--data", "b", "--evaluation", "c", "--output", "d"],
            "--model a holds no model.json. Give the folder",
        ),
    ],
)
def test_a_wrong_argument_is_named_with_the_way_out(run_script, step, arguments, message):
    done = run_script(SCRIPTS[step], *arguments)

    assert done.returncode == 2
    assert message in done.stderr


def test_too_few_rows_to_split_say_so(run_script, tmp_path):
    (tmp_path / "diabetes.csv").write_text("age,progression\n1,2\n3,4\n")
    options = ("--raw", tmp_path, "--seed", 7, "--holdout-share", 0.2)

    done = run_script(SCRIPTS["prepare"], *options, "--output", tmp_path / "out")

    assert done.returncode == 1
    assert "2 rows are too few to hold out 0 twice. Change --holdout-share." in done.stderr
