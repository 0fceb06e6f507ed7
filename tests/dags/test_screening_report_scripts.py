"""The scripts of the screening example, run by hand from the first to the last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from examples import Contents, RunScript

STEPS = "screening_report_steps"
SCRIPTS = {name: f"{STEPS}/{name}/{name}.py" for name in ("extract", "fit", "report")}


def run_chain(run_script: RunScript, folder: Path) -> Path:
    table, model = folder / "table", folder / "model"
    run_script(SCRIPTS["extract"], "--output", table)
    run_script(SCRIPTS["fit"], "--data", table, "--regularisation", 1.0, "--output", model)
    run_script(SCRIPTS["report"], "--data", table, "--model", model, "--output", folder / "report")
    return folder


@pytest.fixture(scope="module")
def chain(run_script: RunScript, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_chain(run_script, tmp_path_factory.mktemp("chain"))


def test_two_runs_write_the_same_bytes(chain: Path, run_script: RunScript, contents: Contents, tmp_path: Path) -> None:
    again = run_chain(run_script, tmp_path)

    assert contents(again) == contents(chain)
    assert len(contents(chain)) == 5


def test_the_report_and_the_scores_agree(chain: Path) -> None:
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
def test_a_wrong_argument_is_named_with_the_way_out(
    run_script: RunScript, capsys: pytest.CaptureFixture[str], step: str, arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_script(SCRIPTS[step], *arguments)

    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
