"""The scripts of the retraining example, run by hand from the first to the last."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from examples import Contents, RunScript

ALPHAS = {"ridge": 1.0, "lasso": 1.0, "elastic_net": 0.1}


def script(step: str) -> str:
    return f"retrain_diabetes_steps/{step}/{step}.py"


def run_chain(run_script: RunScript, folder: Path) -> Path:
    prepare = ("--raw", folder / "raw", "--seed", 7, "--holdout-share", 0.2)
    run_script(script("ingest"), "--output", folder / "raw")
    run_script(script("prepare"), *prepare, "--output", folder / "prepared")
    for kind, alpha in ALPHAS.items():
        options = ("--data", folder / "prepared", "--alpha", alpha)
        run_script(script(f"train_{kind}"), *options, "--output", folder / kind)
    models = [folder / kind for kind in ALPHAS]
    best = ("--model", folder / "best", "--data", folder / "prepared")
    run_script(script("compare"), "--models", *models, "--best", folder / "best", "--comparison", folder / "comparison")
    run_script(script("evaluate"), *best, "--output", folder / "evaluation")
    run_script(script("keep_best"), *best, "--evaluation", folder / "evaluation", "--output", folder / "kept")
    return folder


@pytest.fixture(scope="module")
def chain(run_script: RunScript, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_chain(run_script, tmp_path_factory.mktemp("chain"))


def test_two_runs_write_the_same_bytes(chain: Path, run_script: RunScript, contents: Contents, tmp_path: Path) -> None:
    again = run_chain(run_script, tmp_path)

    assert contents(again) == contents(chain)
    assert len(contents(chain)) == 19


def test_the_parts_have_every_row_once(chain: Path) -> None:
    lines = {
        part: (chain / "prepared" / f"{part}.csv").read_text().splitlines()
        for part in ("train", "validation", "holdout")
    }

    assert {part: len(rows) - 1 for part, rows in lines.items()} == {"train": 266, "validation": 88, "holdout": 88}
    assert len({row for rows in lines.values() for row in rows[1:]}) == 442


def test_the_best_model_heads_the_comparison_and_is_passed_on(chain: Path) -> None:
    with (chain / "comparison" / "comparison.csv").open() as file:
        ranking = list(csv.DictReader(file))
    errors = [float(row["validation_rmse"]) for row in ranking]
    best = json.loads((chain / "best" / "model.json").read_text())

    assert errors == sorted(errors)
    assert (ranking[0]["kind"], float(ranking[0]["alpha"])) == (best["kind"], best["alpha"])


def test_the_kept_model_predicts_from_raw_values_what_the_best_model_predicts_from_scaled_ones(chain: Path) -> None:
    kept = json.loads((chain / "kept" / "model.json").read_text())
    best = json.loads((chain / "best" / "model.json").read_text())
    scaling = json.loads((chain / "prepared" / "scaling.json").read_text())
    with (chain / "raw" / "diabetes.csv").open() as file:
        patient = [float(value) for value in list(csv.reader(file))[1][:-1]]
    scaled = [(v - m) / d for v, m, d in zip(patient, scaling["mean"], scaling["deviation"], strict=True)]

    def predict(model: dict[str, Any], values: list[float]) -> float:
        prediction: float = model["intercept"] + sum(w * v for w, v in zip(model["coefficients"], values, strict=True))
        return prediction

    assert predict(kept, patient) == pytest.approx(predict(best, scaled), rel=1e-6)


def test_the_model_card_and_the_chart_tell_of_the_evaluation(chain: Path) -> None:
    evaluation = json.loads((chain / "evaluation" / "evaluation.json").read_text())

    assert f"| root mean squared error | {evaluation['rmse']:.2f} |" in (chain / "kept" / "model_card.md").read_text()
    assert (chain / "evaluation" / "prediction_against_truth.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert evaluation["rmse"] < evaluation["baseline_rmse"]


def test_the_order_of_the_models_does_not_change_the_choice(
    chain: Path, run_script: RunScript, contents: Contents, tmp_path: Path
) -> None:
    models = [chain / kind for kind in reversed(ALPHAS)]

    run_script(script("compare"), "--models", *models, "--best", tmp_path / "best", "--comparison", tmp_path / "table")

    assert contents(tmp_path / "best") == contents(chain / "best")
    assert contents(tmp_path / "table") == contents(chain / "comparison")


def test_a_model_worse_than_the_mean_is_not_kept(chain: Path, run_script: RunScript, tmp_path: Path) -> None:
    poor = shutil.copytree(chain / "evaluation", tmp_path / "evaluation")
    (poor / "evaluation.json").write_text(json.dumps({"rmse": 80.0, "baseline_rmse": 77.0}))
    options = ("--model", chain / "best", "--data", chain / "prepared", "--evaluation", poor)

    with pytest.raises(
        SystemExit, match=r"The best model errs by 80\.0, always answering the mean by 77\.0: not kept\."
    ):
        run_script(script("keep_best"), *options, "--output", tmp_path / "kept")

    assert not (tmp_path / "kept").exists()


def test_an_alpha_that_makes_no_model_is_refused(chain: Path, run_script: RunScript, tmp_path: Path) -> None:
    options = ("--data", chain / "prepared", "--alpha", -1, "--output", tmp_path / "out")

    with pytest.raises(ValueError, match="The 'alpha' parameter of Ridge must be"):
        run_script(script("train_ridge"), *options)


def test_a_training_without_prepared_data_names_what_it_misses(run_script: RunScript, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"scaling\.json"):
        run_script(script("train_lasso"), "--data", tmp_path, "--alpha", 1, "--output", tmp_path / "out")


PREPARE = ["--raw", "here", "--output", "out"]


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
        ("train_elastic_net", ["--data", "a", "--output", "b"], "the following arguments are required: --alpha"),
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
def test_a_wrong_argument_is_named_with_the_way_out(
    run_script: RunScript, capsys: pytest.CaptureFixture[str], step: str, arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_script(script(step), *arguments)

    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_too_few_rows_to_split_say_so(run_script: RunScript, tmp_path: Path) -> None:
    (tmp_path / "diabetes.csv").write_text("age,progression\n1,2\n3,4\n")
    options = ("--raw", tmp_path, "--seed", 7, "--holdout-share", 0.2)

    with pytest.raises(SystemExit, match=r"2 rows are too few to hold out 0 twice\. Change --holdout-share\."):
        run_script(script("prepare"), *options, "--output", tmp_path / "out")
