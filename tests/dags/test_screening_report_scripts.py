"""The scripts of the screening example, run by hand from the first to the last."""

import json
from pathlib import Path

import pytest

STEPS = "screening_report_steps"
SCRIPTS = {name: f"{STEPS}/{name}/{name}.py" for name in ("extract", "fit", "report")}


def run_chain(must_run, folder: Path) -> Path:
    table, model = folder / "table", folder / "model"
    must_run(SCRIPTS["extract"], "--output", table)
    must_run(SCRIPTS["fit"], "--data", table, "--regularisation", 1.0, "--output", model)
    must_run(SCRIPTS["report"], "--data", table, "--model", model, "--output", folder / "report")
    return folder


@pytest.fixture(scope="module")
def chain(must_run, tmp_path_factory) -> Path:
    return run_chain(must_run, tmp_path_factory.mktemp("chain"))


def test_two_runs_write_the_same_bytes(chain, must_run, contents, tmp_path):
    again = run_chain(must_run, tmp_path)

    assert contents(again) == contents(chain)
    assert len(contents(chain)) == 5


def test_the_report_and_the_scores_agree(chain):
    scores = json.loads((chain / "report" / "scores.json").read_text())
    report = (chain / "report" / "report.md").read_text()

    assert scores["found"] + scores["missed"] + scores["alarms"] + scores["cleared"] == scores["biopsies"] == 143
    assert f"(recall) | {scores['recall']:.3f} |" in report
    assert scores["recall"] > 0.9


@pytest.mark.parametrize(
    ("step", "arguments", "message"),
    [
        ("extract", [], "the following arguments are required: --output"),
        ("fit", ["--data", "a", "--regularisation", "-1", "--output", "b"], "-1 is not a finite number above 0"),
        (
            "fit",
            ["--data", "a", "--regularisation", "1", "--output", "b"],
            "--data a holds no train.csv. Give the folder",
        ),
        ("report", ["--data", "a", "--model", "b", "--output", "c"], "--data a holds no test.csv. Give the folder"),
    ],
)
def test_a_wrong_argument_is_named_with_the_way_out(run_script, step, arguments, message):
    done = run_script(SCRIPTS[step], *arguments)

    assert done.returncode == 2
    assert message in done.stderr
